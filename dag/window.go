package dag

import (
	"fmt"
	"io"
)

// Windows grow from the first to the last of these sizes as reading goes on, so that taking one
// small item from a large document does not read 64 KiB.
const (
	firstWindow = 2 << 10
	lastWindow  = 64 << 10
)

// window reads a document forward through a buffer.
//
// Invariant: buf holds the document's bytes from base; pos is in buf or at its end.
type window struct {
	doc  Document
	base int64
	buf  []byte
	pos  int
	keep int // start in buf of the item being taken, which fill must not drop; -1 = none
	size int // of the next read
	last int // size no longer grows from here

	open   []byte   // brackets, for value
	member [2]int64 // first and last+1 byte of the name that was taken last, without its quotes
}

func newWindow(doc Document) *window {
	w := &window{doc: doc, keep: -1, size: firstWindow, last: lastWindow}
	if b, ok := doc.(Bytes); ok {
		w.buf = b // it is all here; fill finds nothing more
	}
	return w
}

// offset is the position in the document.
func (w *window) offset() int64 { return w.base + int64(w.pos) }

// seek goes to an offset within the document.
func (w *window) seek(offset int64) {
	if w.base <= offset && offset <= w.base+int64(len(w.buf)) {
		w.pos = int(offset - w.base)
		return
	}
	w.base, w.buf, w.pos = offset, w.buf[:0], 0
}

// fill reads on when buf is used up. It returns false at the end of the document, and on error.
func (w *window) fill() (more bool, err error) {
	end := w.base + int64(len(w.buf))
	n := int(min(int64(w.size), w.doc.Size()-end))
	if n <= 0 {
		return false, nil
	}
	drop := w.pos
	if w.keep >= 0 {
		drop, w.keep = w.keep, 0
	}
	kept := len(w.buf) - drop
	if drop > 0 { // an item larger than the window is moved to the front once, and then grows there
		copy(w.buf, w.buf[drop:])
	}
	w.base, w.pos = w.base+int64(drop), w.pos-drop
	if cap(w.buf) < kept+n {
		w.buf = append(make([]byte, 0, 2*kept+n), w.buf[:kept]...)
	}
	w.buf = w.buf[:kept+n]
	w.size = min(2*w.size, w.last)
	got, err := w.doc.ReadAt(w.buf[kept:], end)
	if got == n {
		return true, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	w.buf = w.buf[:kept+max(got, 0)]
	return false, fmt.Errorf("dag: read %d bytes at %d of a document: %w", n, end, err)
}
