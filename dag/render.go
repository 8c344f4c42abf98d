package dag

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Render writes the value of an expression as JSON. Documents are copied as they are and lists are
// written item by item, so it holds no more than one item in memory. After an error, what has been
// written is not JSON.
func Render(w io.Writer, e *Expr, r Resolver) error {
	b := bufio.NewWriterSize(w, 32<<10)
	if err := render(b, e, r); err != nil {
		return err
	}
	return b.Flush()
}

func render(w *bufio.Writer, e *Expr, r Resolver) error {
	switch e.Op {
	case OpObject:
		return renderObject(w, e, r)
	case OpChunk, OpFlatten:
		return renderList(w, e, r)
	}
	if r.IsList(e) {
		return renderList(w, e, r)
	}
	doc, err := r.Document(e)
	if err != nil {
		return fmt.Errorf("dag: the value of %s: %w", e, err)
	}
	if b, ok := doc.(Bytes); ok {
		_, err = w.Write(b)
		return err
	}
	n, err := io.Copy(w, io.NewSectionReader(doc, 0, doc.Size()))
	if err == nil && n != doc.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("dag: the value of %s: %w", e, err)
	}
	return nil
}

func renderObject(w *bufio.Writer, e *Expr, r Resolver) error {
	w.WriteByte('{') // bufio keeps the first error for Flush
	for i := range e.Fields {
		if i > 0 {
			w.WriteByte(',')
		}
		w.Write(memberName(e.Fields[i].Name))
		if err := render(w, &e.Fields[i].Of, r); err != nil {
			return err
		}
	}
	return w.WriteByte('}')
}

func renderList(w *bufio.Writer, e *Expr, r Resolver) error {
	src, err := newSource(e, r)
	if err != nil {
		return err
	}
	w.WriteByte('[')
	var item []byte
	for i := 0; ; i++ {
		grown, ok, err := src.next(item[:0])
		if err != nil {
			return err
		}
		if !ok {
			return w.WriteByte(']')
		}
		if i > 0 {
			w.WriteByte(',')
		}
		if _, err := w.Write(grown); err != nil {
			return err
		}
		item = grown
	}
}

// memberName is the JSON of an object member's name, with the colon.
func memberName(name string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(name); err != nil {
		panic("dag: a string that is not JSON: " + err.Error()) // json encodes every string
	}
	return []byte(strings.TrimSuffix(b.String(), "\n") + ":")
}
