package dag

import "fmt"

// documentSource goes over the items of one document: of its list when depth is 1, of the lists in
// that list when depth is 2, and so on. Its position is the offset after the last item, so a new
// documentSource goes on from there without looking at what lies before.
type documentSource struct {
	window *window
	depth  int
	name   string // for errors; "" when the caller adds its own
	offset uint64 // after the last item; 0 = start; the document's size + 1 = end
}

func (s *documentSource) width() int { return 1 }

func (s *documentSource) seek(c Cursor) error {
	if size := uint64(s.window.doc.Size()); c[0] > size+1 {
		return s.fault(fmt.Errorf("a cursor at byte %d of a document of %d bytes: it is of another value", c[0], size))
	}
	s.offset = c[0]
	return nil
}

func (s *documentSource) position(c Cursor) Cursor { return append(c, s.offset) }

func (s *documentSource) next(dst []byte) ([]byte, bool, error) {
	w := s.window
	found, err := s.find()
	if err != nil || !found {
		return nil, false, err
	}
	w.keep = w.pos
	err = w.value(s.depth)
	start := w.keep
	w.keep = -1
	if err != nil {
		return nil, false, s.fault(err)
	}
	s.offset = uint64(w.offset())
	return append(dst, w.buf[start:w.pos]...), true, nil
}

func (s *documentSource) count() (n uint64, err error) {
	for s.offset = 0; ; n++ {
		found, err := s.find()
		if err != nil {
			return 0, err
		}
		if !found {
			return n, nil
		}
		if err := s.window.value(s.depth); err != nil {
			return 0, s.fault(err)
		}
		s.offset = uint64(s.window.offset())
	}
}

// What find expects at the position.
const (
	wantValue = iota // a value
	wantFirst        // a value or the end of the list
	wantAfter        // a comma or the end of the list; outside of all lists, the end of the document
)

// find goes to the first byte of the next item, or to the end of the document.
func (s *documentSource) find() (found bool, err error) {
	w := s.window
	size := uint64(w.doc.Size())
	if s.offset > size {
		return false, nil
	}
	w.seek(int64(s.offset))
	want, depth := wantValue, 0 // depth: lists that are open
	if s.offset > 0 {
		want, depth = wantAfter, s.depth
	}
	for {
		c, err := w.token()
		if err != nil {
			return false, s.fault(err)
		}
		switch {
		case want == wantFirst && c != ']':
			want = wantValue
		case want == wantFirst || want == wantAfter && depth > 0 && c == ']':
			w.pos++
			depth--
			want = wantAfter
		case want == wantAfter && depth > 0 && c == ',':
			w.pos++
			want = wantValue
		case want == wantAfter && depth > 0:
			return false, s.fault(w.wrong("wants a comma or ']'", c))
		case want == wantAfter:
			s.offset = size + 1
			return false, s.fault(w.end())
		case depth == s.depth:
			return true, nil
		case c == '[':
			w.pos++
			depth++
			want = wantFirst
		default:
			if err := s.null(); err != nil {
				return false, s.fault(err)
			}
			want = wantAfter
		}
	}
}

// null takes null, the empty list, and refuses any other value that is no list.
func (s *documentSource) null() error {
	w := s.window
	at := w.offset()
	c, err := w.token()
	if err != nil {
		return err
	}
	if c == 'n' {
		return w.literal("null")
	}
	if err := w.value(s.depth); err != nil {
		return err
	}
	return fmt.Errorf("the value at byte %d, which begins with %q, is %w", at, c, ErrNotList)
}

func (s *documentSource) fault(err error) error {
	if err == nil || s.name == "" {
		return err
	}
	return fmt.Errorf("dag: %s: %w", s.name, err)
}
