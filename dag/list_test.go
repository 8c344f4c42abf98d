package dag

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// TestList_MatchesNaiveModel compares lists over random documents and expressions, read with random
// restarts, with a model that parses everything.
func TestList_MatchesNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values{docs: map[string]string{}, maps: map[string]elements{"map": nil}}
		depth := rapid.IntRange(1, 3).Draw(t, "depth")
		v.docs["input"] = drawList(t, depth)
		v.docs["task"] = drawList(t, depth)
		for range rapid.IntRange(0, 6).Draw(t, "elements") {
			doc := "-"
			if rapid.IntRange(0, 3).Draw(t, "present") > 0 {
				doc = drawList(t, depth-1)
			}
			v.maps["map"] = append(v.maps["map"], doc)
		}
		e, _ := drawListExpr(t, depth, 4)

		want := model(&e, v)
		var got []string
		if err := collect(t, &e, v, &got); err != nil {
			t.Fatalf("%s of %v %v: %v", e, v.docs, v.maps, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s of %v %v (-want +got):\n%s", e, v.docs, v.maps, diff)
		}
		l, err := NewList(&e, v)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := l.Count(); err != nil || n != uint64(len(want)) {
			t.Fatalf("count %d %v, want %d", n, err, len(want))
		}
		var rendered bytes.Buffer
		if err := Render(&rendered, &e, v); err != nil {
			t.Fatal(err)
		}
		if got := tidy(rendered.Bytes()); got == "null" && len(want) == 0 {
			return // a document is rendered as it is
		} else if got != "["+strings.Join(want, ",")+"]" {
			t.Fatalf("rendered %s, want items %s", got, want)
		}
	})
}

// collect reads all items, now and then with a fresh List, or from an older cursor.
func collect(t *rapid.T, e *Expr, r Resolver, items *[]string) error {
	var l *List
	cursors := []Cursor{nil}
	for {
		if l == nil || rapid.IntRange(0, 3).Draw(t, "fresh") == 0 {
			var err error
			if l, err = NewList(e, r); err != nil {
				return err
			}
		}
		if rapid.IntRange(0, 7).Draw(t, "back") == 0 {
			back := rapid.IntRange(0, len(cursors)-1).Draw(t, "to")
			cursors, *items = cursors[:back+1], (*items)[:back]
		}
		item, next, ok, err := l.Next(cursors[len(cursors)-1])
		if err != nil {
			return err
		}
		if !ok {
			if _, _, again, err := l.Next(next); again || err != nil {
				return fmt.Errorf("after the end: %v %v", again, err)
			}
			return nil
		}
		*items, cursors = append(*items, tidy(item)), append(cursors, next)
	}
}

// drawList draws a document of lists nested to the depth, with stray space, null for some empty
// lists, and some items larger than a window. Depth 0 is any value.
func drawList(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"}).Draw(t, "space")
	if depth == 0 {
		value := rapid.SampledFrom([]string{`0`, `-1.5e3`, `"a,]\""`, `{"a":[1,{}],"b":null}`, `[]`, `[[1]]`, `true`, `null`, "long"}).Draw(t, "value")
		if value == "long" {
			value = `"` + strings.Repeat("x", rapid.IntRange(firstWindow-40, 3*firstWindow).Draw(t, "length")) + `"`
		}
		return space + value + space
	}
	n := rapid.IntRange(-1, 4).Draw(t, "items")
	if n < 0 {
		return space + "null" + space
	}
	items := make([]string, n)
	for i := range items {
		items[i] = drawList(t, depth-1)
	}
	return space + "[" + strings.Join(items, ",") + space + "]"
}

// drawListExpr draws a list expression whose items are lists of the returned depth; a flatten of less
// is not drawn.
func drawListExpr(t *rapid.T, depth, size int) (Expr, int) {
	ops := []string{"input", "map", "task", "chunk", "flatten"}
	if size == 0 {
		ops = ops[:3]
	}
	switch op := rapid.SampledFrom(ops).Draw(t, "op"); op {
	case "input":
		return Input(), depth - 1
	case "chunk":
		of, d := drawListExpr(t, depth, size-1)
		return Chunk(of, rapid.Uint32Range(1, 4).Draw(t, "n")), d + 1
	case "flatten":
		of, d := drawListExpr(t, depth, size-1)
		if d == 0 {
			return of, d
		}
		return Flatten(of), d - 1
	default:
		return Result(op), depth - 1
	}
}

// model computes the items of a list expression the naive way.
func model(e *Expr, v values) []string {
	switch e.Op {
	case OpChunk:
		items := model(e.Of, v)
		chunks := []string{}
		for len(items) > 0 {
			n := min(int(e.N), len(items))
			chunks, items = append(chunks, "["+strings.Join(items[:n], ",")+"]"), items[n:]
		}
		return chunks
	case OpFlatten:
		items := []string{}
		for _, list := range model(e.Of, v) {
			items = append(items, split(list)...)
		}
		return items
	}
	if !v.IsList(e) {
		name := e.Step
		if e.Op == OpInput {
			name = "input"
		}
		return split(v.docs[name])
	}
	items := []string{}
	for _, doc := range v.maps[e.Step] {
		if doc != "-" {
			items = append(items, tidy([]byte(doc)))
		}
	}
	return items
}

func split(doc string) []string {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(doc), &raw); err != nil {
		panic(err)
	}
	items := []string{}
	for _, item := range raw {
		items = append(items, tidy(item))
	}
	return items
}

func tidy(doc []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, doc); err != nil {
		panic(fmt.Sprintf("%q: %v", doc, err))
	}
	return b.String()
}

// counted counts what is read of a document.
type counted struct {
	*strings.Reader
	reads, bytes int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads, c.bytes = c.reads+1, c.bytes+len(p)
	return c.Reader.ReadAt(p, off)
}

// fixed resolves every expression to one document.
type fixed struct{ doc Document }

func (f fixed) IsList(*Expr) bool                  { return false }
func (f fixed) Document(*Expr) (Document, error)   { return f.doc, nil }
func (f fixed) Elements(e *Expr) (Elements, error) { return nil, fmt.Errorf("%s is no map", e) }

func numbers(n int) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, i)
	}
	b.WriteByte(']')
	return b.String()
}

// TestNext_ReadsOnlyTheItem holds both ways of reading to their price: one List reads the document
// once, and fresh Lists read one small window for every item, wherever it lies.
func TestNext_ReadsOnlyTheItem(t *testing.T) {
	const n = 20_000
	doc := &counted{Reader: strings.NewReader(numbers(n))}
	e := Input()
	l, err := NewList(&e, fixed{doc})
	if err != nil {
		t.Fatal(err)
	}
	var c Cursor
	for i := range n {
		item, next, ok, err := l.Next(c)
		if err != nil || !ok || string(item) != fmt.Sprint(i) {
			t.Fatalf("item %d: %s %v %v", i, item, ok, err)
		}
		if i%1000 == 999 { // from here with a fresh List, which goes no further than one window
			before := doc.bytes
			fresh, err := NewList(&e, fixed{doc})
			if err != nil {
				t.Fatal(err)
			}
			if again, _, _, err := fresh.Next(c); err != nil || string(again) != string(item) {
				t.Fatalf("item %d afresh: %s %v", i, again, err)
			}
			if read := doc.bytes - before; read > firstWindow {
				t.Fatalf("item %d afresh: %d bytes read", i, read)
			}
			doc.bytes = before
		}
		c = next
	}
	if doc.bytes != doc.Len() {
		t.Fatalf("one List read %d bytes of a document of %d", doc.bytes, doc.Len())
	}
}

// TestNext_ItemIsTheCallers shows that later reading does not change an item.
func TestNext_ItemIsTheCallers(t *testing.T) {
	e := Input()
	l, err := NewList(&e, fixed{strings.NewReader(numbers(5_000))})
	if err != nil {
		t.Fatal(err)
	}
	var items [][]byte
	for c := Cursor(nil); ; {
		item, next, ok, err := l.Next(c)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		items, c = append(items, item), next
	}
	for i, item := range items {
		if string(item) != fmt.Sprint(i) {
			t.Fatalf("item %d became %s", i, item)
		}
	}
}

func TestNext_CursorOfAnotherListIsRefused(t *testing.T) {
	e := Input()
	l, err := NewList(&e, fixed{Bytes(`[1]`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Cursor{{}, {1, 2}, {5}, {1 << 63}} {
		if _, _, _, err := l.Next(c); err == nil {
			t.Errorf("cursor %d: no error", c)
		}
	}
}

func TestNewList_ValueThatIsNoListIsErrNotList(t *testing.T) {
	e := Flatten(Input())
	for _, doc := range []string{`1`, `{"a":[]}`, `[3]`, `"x"`} {
		l, err := NewList(&e, fixed{Bytes(doc)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := l.Next(nil); !errors.Is(err, ErrNotList) {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// knowing has the optional methods of Elements, and refuses the one that they replace.
type knowing struct{ docs elements }

func (k knowing) Len() uint64              { return k.docs.Len() }
func (k knowing) Present() (uint64, error) { return 2, nil }
func (k knowing) At(uint64) ([]byte, bool, error) {
	return nil, false, errors.New("At was called")
}
func (k knowing) Document(i uint64) (Document, bool, error) {
	return strings.NewReader(k.docs[i]), k.docs[i] != "-", nil
}

type knowingValues struct{ knowing }

func (v knowingValues) IsList(*Expr) bool                { return true }
func (v knowingValues) Elements(*Expr) (Elements, error) { return v.knowing, nil }
func (v knowingValues) Document(*Expr) (Document, error) { return nil, errors.New("no document") }

func TestElements_OptionalMethodsAreUsed(t *testing.T) {
	v := knowingValues{knowing{elements{"[1,2]", "-", "[3]"}}}
	list := Result("map")
	l, err := NewList(&list, v)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Count(); n != 2 || err != nil {
		t.Errorf("count %d %v, want 2", n, err)
	}
	flat := Flatten(list)
	var b strings.Builder
	if err := Render(&b, &flat, v); err != nil || b.String() != "[1,2,3]" {
		t.Errorf("rendered %s %v, want [1,2,3]", &b, err)
	}
}
