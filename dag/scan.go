package dag

import "fmt"

// SyntaxError is a place where a document is not JSON.
type SyntaxError struct {
	// Offset is the byte, from 0, at which the document can no longer be JSON.
	Offset int64
	// Problem says what is wrong there.
	Problem string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("malformed JSON at byte %d: %s", e.Offset, e.Problem)
}

// maxNesting is the deepest nesting of arrays and objects; encoding/json has the same limit.
const maxNesting = 10_000

// Check reads a whole document and reports the first place where it is not JSON as a *SyntaxError.
// It accepts what encoding/json accepts, in memory that does not depend on the document's size.
func Check(doc Document) error {
	w := newWindow(doc)
	if _, err := w.token(); err != nil {
		return err
	}
	if err := w.value(0); err != nil {
		return err
	}
	return w.end()
}

// token skips space and returns the next byte without taking it, or 0 at the end of the document.
func (w *window) token() (byte, error) {
	for {
		for w.pos < len(w.buf) {
			switch c := w.buf[w.pos]; c {
			case ' ', '\t', '\n', '\r':
				w.pos++
			case 0:
				return 0, w.wrong("wants a value, a comma or a bracket", c)
			default:
				return c, nil
			}
		}
		if more, err := w.fill(); !more {
			return 0, err
		}
	}
}

// peek returns the next byte without taking it, or 0 at the end. A zero byte is nowhere valid, so
// whoever sees 0 reports an error either way.
func (w *window) peek() (byte, error) {
	if w.pos == len(w.buf) {
		if more, err := w.fill(); !more {
			return 0, err
		}
	}
	return w.buf[w.pos], nil
}

// end checks that nothing but space is left.
func (w *window) end() error {
	c, err := w.token()
	if err == nil && c != 0 {
		return w.wrong("wants the end of the document", c)
	}
	return err
}

// wrong is the error of the byte c at the position; 0 is the end of the document.
func (w *window) wrong(wants string, c byte) error {
	found := fmt.Sprintf("found %q", c)
	if c == 0 && w.offset() >= w.doc.Size() {
		found = "the document ends"
	}
	return &SyntaxError{Offset: w.offset(), Problem: wants + ", " + found}
}

// value takes one value, from its first byte to its last, and checks it. outer is the number of
// brackets that are open around it.
//
// It keeps the kinds of the open brackets in a stack of its own, so that deep nesting costs a byte a
// level and cannot overflow the goroutine's.
func (w *window) value(outer int) error {
	open := w.open[:0]
	defer func() { w.open = open[:0] }()
	for {
		opened, err := w.scalarOrOpen()
		if err != nil {
			return err
		}
		if opened != 0 {
			open = append(open, opened)
			if outer+len(open) > maxNesting {
				return w.wrong(fmt.Sprintf("nested deeper than %d", maxNesting), opened)
			}
			empty, err := w.first(opened)
			if err != nil {
				return err
			}
			if !empty {
				continue // with the first value in it
			}
			open = open[:len(open)-1]
		}
		for len(open) > 0 {
			more, err := w.separator(open[len(open)-1])
			if err != nil {
				return err
			}
			if more {
				break
			}
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return nil
		}
	}
}

// scalarOrOpen takes a string, number or literal, or an opening bracket, which it returns.
func (w *window) scalarOrOpen() (opened byte, err error) {
	c, err := w.token()
	if err != nil {
		return 0, err
	}
	switch {
	case c == '{' || c == '[':
		w.pos++
		return c, nil
	case c == '"':
		return 0, w.text()
	case c == '-' || '0' <= c && c <= '9':
		return 0, w.number()
	case c == 't':
		return 0, w.literal("true")
	case c == 'f':
		return 0, w.literal("false")
	case c == 'n':
		return 0, w.literal("null")
	}
	return 0, w.wrong("wants a value", c)
}

// first takes what follows an opening bracket up to the first value; empty means that the bracket
// was closed instead.
func (w *window) first(opened byte) (empty bool, err error) {
	c, err := w.token()
	if err != nil {
		return false, err
	}
	if c == closing(opened) {
		w.pos++
		return true, nil
	}
	if opened == '{' {
		return false, w.name()
	}
	return false, nil
}

// separator takes a comma and what follows up to the next value, or the closing bracket.
func (w *window) separator(opened byte) (more bool, err error) {
	c, err := w.token()
	switch {
	case err != nil:
		return false, err
	case c == closing(opened):
		w.pos++
		return false, nil
	case c != ',':
		return false, w.wrong(fmt.Sprintf("wants a comma or %q", closing(opened)), c)
	}
	w.pos++
	if opened == '{' {
		return true, w.name()
	}
	return true, nil
}

// name takes a member's name and the colon.
func (w *window) name() error {
	c, err := w.token()
	if err != nil {
		return err
	}
	if c != '"' {
		return w.wrong("wants a member's name", c)
	}
	w.member[0] = w.offset() + 1
	if err := w.text(); err != nil {
		return err
	}
	w.member[1] = w.offset() - 1
	if c, err = w.token(); err != nil {
		return err
	}
	if c != ':' {
		return w.wrong("wants a colon", c)
	}
	w.pos++
	return nil
}

func closing(opened byte) byte { return opened + 2 } // [ ] and { } are two apart in ASCII
