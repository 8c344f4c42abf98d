package dag

import (
	"fmt"
	"slices"
)

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
		return &elementSource{elements: elements, name: at.String(), inner: documentSource{depth: flattens}}, nil
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
