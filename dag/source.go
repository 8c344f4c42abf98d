package dag

import "fmt"

// source is one part of a list expression. Its position moves by next, and by seek.
type source interface {
	width() int                            // numbers of its position
	seek(c Cursor) error                   // go to a position: width numbers, zeros for the start
	position(c Cursor) Cursor              // append the position to c
	next(dst []byte) ([]byte, bool, error) // append one item to dst; false at the end
	count() (uint64, error)                // of the whole list; the position is lost
}

// newSource builds the source of an expression. A flatten directly over a chunk undoes it, so both
// go; then what is left under the chunks is some flattens over a document or a map, and the flattens
// become one number, the depth at which the items lie.
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
	if at.Op == OpObject {
		return nil, fmt.Errorf("dag: %s: its value is an object and %w", e, ErrNotList)
	}
	if r.IsList(at) {
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
