package dag

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Document is a JSON document that is read in windows, for it may have 64 MiB. It must not change
// while it is read.
type Document interface {
	io.ReaderAt
	// Size is the length in bytes.
	Size() int64
}

// Bytes is a Document in memory.
type Bytes []byte

// ReadAt copies from the document.
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b)) {
		return 0, fmt.Errorf("dag: read at %d of a document of %d bytes", off, len(b))
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size is the length in bytes.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Elements are a map's results in item order. Absent elements are dead items that the map tolerated:
// lists and renderings leave them out. They must not change while they are read.
type Elements interface {
	// Len is the number of elements, absent ones included.
	Len() uint64
	// At returns the i-th element's document; present is false when it is absent.
	At(i uint64) (doc []byte, present bool, err error)
}

// CountedElements are Elements that know how many are present, which makes List.Count O(1).
type CountedElements interface {
	Elements
	Present() (uint64, error)
}

// WindowedElements are Elements that can be read in windows, so that flattening large elements does
// not load each one whole.
type WindowedElements interface {
	Elements
	Document(i uint64) (doc Document, present bool, err error)
}

// Resolver finds the values that expressions refer to. Each expression it is asked about is an
// OpInput, OpConst or OpStep of a built graph.
type Resolver interface {
	// Document returns the job's input, a constant, or the result of a task or fold step.
	Document(e *Expr) (Document, error)
	// Elements returns the results of a map step.
	Elements(e *Expr) (Elements, error)
	// IsList reports whether e is the result of a map step.
	IsList(e *Expr) bool
}

// ErrNotList is the error, by errors.Is, of reading a value as a list that is none.
var ErrNotList = errors.New("not a list")

// Cursor is a position in a list expression: at most one number for each document and two for each
// map that the expression reads, so it is small enough to be stored with every step of the way. Nil is the
// start. Its meaning depends on the expression and on nothing else: any List of the same expression
// over the same values can go on from it, on any machine.
type Cursor []uint64

// List goes over the items of a list expression. The value null is the empty list, as that is what
// encoding/json makes of a nil slice.
//
// The naive way parses the document and keeps its items, which for a map over 64 MiB costs a
// gigabyte on every replica. Skipping to the i-th item from the start costs no memory, and time in
// the square of the length. A List scans the bytes once, in windows of up to 64 KiB, and its cursor
// is an offset in them, so that a List made afresh for every item costs no more than that item and
// one small window. The price is that malformed JSON far in a document is found only when the scan
// comes to it; who stores documents checks them first (Check).
//
// A List belongs to one goroutine.
type List struct {
	src   source
	width int
}

// NewList prepares to read a list expression. It opens the values and reads nothing of them.
func NewList(e *Expr, r Resolver) (*List, error) {
	src, err := newSource(e, r)
	if err != nil {
		return nil, err
	}
	return &List{src: src, width: src.width()}, nil
}

// Next returns the item at the cursor, and the cursor of the item after it. At the end ok is false;
// it stays false when asked again with the cursor returned. The item is a JSON value that the caller may keep.
// Next costs what the item has in bytes when the cursor is the one that it returned last.
func (l *List) Next(c Cursor) (item []byte, next Cursor, ok bool, err error) {
	if c != nil && len(c) != l.width {
		return nil, nil, false, fmt.Errorf("dag: a cursor of %d numbers, and the list needs %d: it is of another expression", len(c), l.width)
	}
	if c == nil {
		c = make(Cursor, l.width)
	}
	if err := l.src.seek(c); err != nil {
		return nil, nil, false, err
	}
	item, ok, err = l.src.next(nil)
	if err != nil {
		return nil, nil, false, err
	}
	return item, l.src.position(make(Cursor, 0, l.width)), ok, nil
}

// Count is the number of items that Next would return. It scans documents once; it looks at each
// element of a map only when the elements are not CountedElements.
func (l *List) Count() (uint64, error) { return l.src.count() }

// source is one part of a list expression. Its position moves by next, and by seek.
type source interface {
	width() int                            // numbers of its position
	seek(c Cursor) error                   // go to a position: width numbers, zeros for the start
	position(c Cursor) Cursor              // append the position to c
	next(dst []byte) ([]byte, bool, error) // append one item to dst; false at the end
	count() (uint64, error)                // of the whole list; the position is lost
}

// newSource builds the source of an expression. A flatten directly over a chunk undoes it, so both
// go; then what is left under the chunks is some flattens over a document, a map or a zip, and the
// flattens become one number, the depth at which the items lie.
func newSource(e *Expr, r Resolver) (source, error) {
	flattens := 0
	at := e
	for ; at.Op == OpFlatten || at.Op == OpChunk; at = at.Of {
		switch {
		case at.Op == OpFlatten:
			flattens++
		case flattens > 0:
			flattens--
		default:
			of, err := newSource(at.Of, r)
			return &chunkSource{of: of, n: uint64(max(at.N, 1))}, err
		}
	}
	switch {
	case at.Op == OpObject || at.Op == OpZip && flattens > 0:
		return nil, fmt.Errorf("dag: %s: its value is an object and %w", e, ErrNotList)
	case at.Op == OpZip:
		return newZipSource(at, r)
	case r.IsList(at):
		elements, err := r.Elements(at)
		if err != nil {
			return nil, fmt.Errorf("dag: the results of %s: %w", at, err)
		}
		return &elementSource{elements: elements, inner: documentSource{depth: flattens, name: at.String()}}, nil
	}
	doc, err := r.Document(at)
	if err != nil {
		return nil, fmt.Errorf("dag: the value of %s: %w", at, err)
	}
	return &documentSource{window: newWindow(doc), depth: flattens + 1, name: at.String()}, nil
}

// chunkSource makes lists of n items.
type chunkSource struct {
	of source
	n  uint64
}

func (s *chunkSource) width() int               { return s.of.width() }
func (s *chunkSource) seek(c Cursor) error      { return s.of.seek(c) }
func (s *chunkSource) position(c Cursor) Cursor { return s.of.position(c) }

func (s *chunkSource) next(dst []byte) ([]byte, bool, error) {
	dst = append(dst, '[')
	for i := range s.n {
		start := len(dst)
		if i > 0 {
			dst = append(dst, ',')
		}
		grown, ok, err := s.of.next(dst)
		if err != nil {
			return nil, false, err
		}
		if !ok && i == 0 {
			return nil, false, nil
		}
		if !ok {
			dst = dst[:start]
			break
		}
		dst = grown
	}
	return append(dst, ']'), true, nil
}

func (s *chunkSource) count() (uint64, error) {
	n, err := s.of.count()
	return divideUp(n, s.n), err
}

// elementSource goes over a map's results, or, when inner.depth is not 0, over the lists in them.
type elementSource struct {
	elements Elements
	at       uint64         // element to be read next, or being read
	inner    documentSource // over the element opened
	opened   uint64         // element that inner reads, plus one; 0 = none
	offset   uint64         // position in the element at; 0 = its start
}

func (s *elementSource) width() int {
	if s.inner.depth == 0 {
		return 1
	}
	return 2
}

func (s *elementSource) seek(c Cursor) error {
	s.at, s.offset = c[0], 0
	if s.inner.depth > 0 {
		s.offset = c[1]
	}
	return nil
}

func (s *elementSource) position(c Cursor) Cursor {
	if s.inner.depth == 0 {
		return append(c, s.at)
	}
	return append(c, s.at, s.offset)
}

func (s *elementSource) next(dst []byte) ([]byte, bool, error) {
	for ; s.at < s.elements.Len(); s.at, s.offset = s.at+1, 0 {
		if s.inner.depth == 0 {
			doc, present, err := s.elements.At(s.at)
			if err != nil {
				return nil, false, s.fault(err)
			}
			if present {
				s.at++
				return append(dst, doc...), true, nil
			}
			continue
		}
		present, err := s.open()
		if err != nil {
			return nil, false, err
		}
		if !present {
			continue
		}
		if err := s.inner.seek(Cursor{s.offset}); err != nil {
			return nil, false, s.fault(err)
		}
		grown, ok, err := s.inner.next(dst)
		if err != nil {
			return nil, false, s.fault(err)
		}
		if ok {
			s.offset = s.inner.offset
			return grown, true, nil
		}
	}
	return nil, false, nil
}

// open makes inner read the element at, unless it does already.
func (s *elementSource) open() (present bool, err error) {
	if s.opened == s.at+1 {
		return true, nil
	}
	var doc Document
	if large, ok := s.elements.(WindowedElements); ok {
		doc, present, err = large.Document(s.at)
	} else {
		var small []byte
		small, present, err = s.elements.At(s.at)
		doc = Bytes(small)
	}
	if err != nil {
		return false, s.fault(err)
	}
	if present {
		s.inner.window, s.opened = newWindow(doc), s.at+1
	}
	return present, nil
}

func (s *elementSource) fault(err error) error {
	return fmt.Errorf("dag: item %d of the map %s: %w", s.at, s.inner.name, err)
}

func (s *elementSource) count() (n uint64, err error) {
	if counted, ok := s.elements.(CountedElements); ok && s.inner.depth == 0 {
		return counted.Present()
	}
	for s.at, s.offset = 0, 0; s.at < s.elements.Len(); s.at++ {
		if s.inner.depth == 0 {
			_, present, err := s.elements.At(s.at)
			if err != nil {
				return 0, s.fault(err)
			}
			if present {
				n++
			}
			continue
		}
		present, err := s.open()
		if err != nil {
			return 0, err
		}
		if present {
			m, err := s.inner.count()
			if err != nil {
				return 0, s.fault(err)
			}
			n += m
		}
	}
	return n, nil
}

// zipSource makes objects of one item from each list.
type zipSource struct {
	what  string
	names [][]byte // encoded, with the colon
	lists []source
}

func newZipSource(e *Expr, r Resolver) (source, error) {
	s := &zipSource{what: e.String()}
	for i := range e.Fields {
		list, err := newSource(&e.Fields[i].Of, r)
		if err != nil {
			return nil, err
		}
		s.names = append(s.names, memberName(e.Fields[i].Name))
		s.lists = append(s.lists, list)
	}
	return s, nil
}

func (s *zipSource) width() (n int) {
	for _, list := range s.lists {
		n += list.width()
	}
	return n
}

func (s *zipSource) seek(c Cursor) error {
	for _, list := range s.lists {
		if err := list.seek(c[:list.width()]); err != nil {
			return err
		}
		c = c[list.width():]
	}
	return nil
}

func (s *zipSource) position(c Cursor) Cursor {
	for _, list := range s.lists {
		c = list.position(c)
	}
	return c
}

func (s *zipSource) next(dst []byte) ([]byte, bool, error) {
	dst = append(dst, '{')
	ended := make([]bool, len(s.lists))
	for i, list := range s.lists {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, s.names[i]...)
		grown, ok, err := list.next(dst)
		if err != nil {
			return nil, false, err
		}
		if ended[i] = !ok; ok {
			dst = grown
		}
	}
	switch {
	case !slices.Contains(ended, true):
		return append(dst, '}'), true, nil
	case slices.Contains(ended, false):
		return nil, false, s.uneven()
	}
	return nil, false, nil
}

func (s *zipSource) uneven() error {
	return fmt.Errorf("dag: %s: its lists are of different length: make them equal before the zip", s.what)
}

func (s *zipSource) count() (n uint64, err error) {
	for i, list := range s.lists {
		m, err := list.count()
		if err != nil {
			return 0, err
		}
		if i > 0 && m != n {
			return 0, s.uneven()
		}
		n = m
	}
	return n, nil
}
