package dag

import (
	"errors"
	"fmt"
	"io"
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

// Cursor is a position in a list expression: one or two numbers, small enough to be stored with every
// item. Nil is the start. Its meaning depends on the expression and on nothing else: any List of the same expression
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
