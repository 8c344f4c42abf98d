package dag

import "fmt"

// elementSource goes over a map's results, or, when inner.depth is not 0, over the lists in them.
type elementSource struct {
	elements Elements
	name     string
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
	return fmt.Errorf("dag: item %d of the map %s: %w", s.at, s.name, err)
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
