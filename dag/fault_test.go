package dag

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// failing is a document whose store fails at a byte: with err, which may be io.EOF when there is less
// than there should be.
type failing struct {
	doc string
	at  int64
	err error
}

func (f failing) Size() int64 { return int64(len(f.doc)) }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	n, _ := Bytes(f.doc[:f.at]).ReadAt(p, min(off, f.at))
	if n < len(p) {
		return n, f.err
	}
	return n, nil
}

// TestFaultsOfTheStore: wherever a read fails, lists, counts, checks and renderings return the fault,
// never a wrong answer and never malformed JSON as the reason.
func TestFaultsOfTheStore(t *testing.T) {
	doc := `[[1,{"a":"\u00e9x"}],null,[-2.5e3,true]]`
	broken := errors.New("the disk is on fire")
	for at := range int64(len(doc)) {
		for _, fault := range []error{broken, io.EOF} {
			want := fault
			if fault != broken {
				want = io.ErrUnexpectedEOF
			}
			d := failing{doc, at, fault}
			e := Flatten(Input())
			l, err := NewList(&e, fixed{d})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Count(); !errors.Is(err, want) {
				t.Errorf("count, fault at %d: %v", at, err)
			}
			if err := Check(d); !errors.Is(err, want) {
				t.Errorf("check, fault at %d: %v", at, err)
			}
			if l, err = NewList(&e, fixed{d}); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := l.Next(nil); !errors.Is(err, want) {
				t.Errorf("next, fault at %d: %v", at, err)
			}
			plain, whole := Input(), Object(Field{"a", Input()}, Field{"b", e})
			for _, e := range []*Expr{&e, &plain, &whole} {
				if err := Render(io.Discard, e, fixed{d}); !errors.Is(err, want) {
					t.Errorf("render %s, fault at %d: %v", e, at, err)
				}
			}
		}
	}
}

// limited refuses to take more than a number of bytes.
type limited struct{ left int }

func (w *limited) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestRender_FaultOfTheWriterIsReturned(t *testing.T) {
	doc := numbers(50_000)
	list, whole := Chunk(Input(), 3), Object(Field{"x", Input()})
	plain := Input()
	for _, d := range []Document{Bytes(doc), strings.NewReader(doc)} {
		for _, e := range []*Expr{&list, &whole, &plain} {
			for _, left := range []int{0, 40_000, len(doc) - 10} {
				if err := Render(&limited{left}, e, fixed{d}); !errors.Is(err, io.ErrShortWrite) {
					t.Errorf("%s to a writer of %d bytes: %v", e, left, err)
				}
			}
		}
	}
}

// TestBytes_IsAnIOReaderAt: short reads end with io.EOF, and reads outside are errors.
func TestBytes_IsAnIOReaderAt(t *testing.T) {
	b := Bytes("abc")
	got, err := io.ReadAll(io.NewSectionReader(b, 1, b.Size()))
	if !bytes.Equal(got, []byte("bc")) || err != nil {
		t.Errorf("section %q %v", got, err)
	}
	for _, off := range []int64{-1, 4} {
		if _, err := b.ReadAt(make([]byte, 1), off); err == nil || err == io.EOF {
			t.Errorf("read at %d: %v", off, err)
		}
	}
}
