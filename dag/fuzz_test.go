package dag

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzDecode: what is accepted encodes to bytes that decode to the same graph, its order respects
// every edge, and its text form reads back.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"wc: plan:task:wc.plan count:map merge:fold:leaf:merge\nplan < count < merge, plan << merge",
		"d: a:task b:map c:task d:task\na < b < d, a < c < d",
	} {
		g, err := Parse(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(Encode(g))
	}
	f.Add([]byte(`{"v":1,"name":"w","steps":[{"name":"a","kind":"map","task":"t","input":{"op":"chunk","n":2,"of":{"op":"const","value":[ "<" ]}},"options":{"priority":3,"retry":{"jitter_percent":-1}}}],"output":{"op":"object","fields":[{"name":"&","of":{"op":"input"}}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Decode(data)
		if err != nil {
			return
		}
		encoded := Encode(g)
		again, err := Decode(encoded)
		if err != nil {
			t.Fatalf("%s is refused after encoding: %v", encoded, err)
		}
		if !bytes.Equal(Encode(again), encoded) {
			t.Fatalf("%s encodes to %s", encoded, Encode(again))
		}
		edges := 0
		for id := range StepID(g.Len()) {
			for _, d := range g.Dependencies(id) {
				if edges++; d >= id {
					t.Fatalf("step %d comes before %d, which it needs", id, d)
				}
			}
			edges -= len(g.Dependents(id))
			if found, ok := g.Lookup(g.Step(id).Name); !ok || found != id {
				t.Fatalf("lookup of step %d: %d %v", id, found, ok)
			}
		}
		if edges != 0 {
			t.Fatalf("%d more dependencies than dependents", edges)
		}
		readBack(t, g)
	})
}

func readBack(t *testing.T, g *Graph) {
	parsed, err := Parse(g.String())
	if err != nil {
		t.Fatalf("%s is refused: %v", g, err)
	}
	if parsed.String() != g.String() {
		t.Fatalf("%s reads back as %s", g, parsed)
	}
}

// FuzzScan: Check accepts what encoding/json accepts, whatever the windows; and what it refuses is
// refused at the byte from which no continuation could be JSON.
func FuzzScan(f *testing.F) {
	for _, doc := range []string{`{"a":[1,-2.5e+3,true,null],"\u00e9":"\n"}`, `[[],{},"",0]`, ` 1 `, `[1,]`, `01`, `"\x"`, "\"\x01\"", "[1\x00]", ``, `-`} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		err := Check(Bytes(doc))
		if want := json.Valid(doc); (err == nil) != want {
			t.Fatalf("%q: %v, encoding/json says %v", doc, err, want)
		}
		small := newWindow(bytes.NewReader(doc))
		small.size, small.last = 1, 1
		_, smallErr := small.token()
		if smallErr == nil {
			smallErr = small.value(0)
		}
		if smallErr == nil {
			smallErr = small.end()
		}
		if (err == nil) != (smallErr == nil) || err != nil && err.Error() != smallErr.Error() {
			t.Fatalf("%q: %v in one window, %v in many", doc, err, smallErr)
		}
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > int64(len(doc))) {
			t.Fatalf("%q: %v has no offset in the document", doc, err)
		}
		scanItems(t, doc)
	})
}

// scanItems reads the document as a list, item by item with fresh Lists: the items are those of
// encoding/json, and the error comes at the latest with the end.
func scanItems(t *testing.T, doc []byte) {
	var want []json.RawMessage
	wantErr := json.Unmarshal(doc, &want)
	e := Input()
	for c, i := Cursor(nil), 0; ; i++ {
		l, err := NewList(&e, fixed{bytes.NewReader(doc)})
		if err != nil {
			t.Fatal(err)
		}
		item, next, ok, err := l.Next(c)
		switch {
		case (err != nil || !ok) && (err == nil) == (wantErr == nil):
			if err == nil && i != len(want) {
				t.Fatalf("%q: %d items, want %d", doc, i, len(want))
			}
			return
		case err != nil || !ok:
			t.Fatalf("%q: item %d: %v, encoding/json says %v", doc, i, err, wantErr)
		case wantErr == nil && string(item) != string(want[i]):
			t.Fatalf("%q: item %d is %s, want %s", doc, i, item, want[i])
		}
		c = next
	}
}

func TestCheck_NestingIsBoundedAsInEncodingJSON(t *testing.T) {
	for n, want := range map[int]bool{maxNesting: true, maxNesting + 1: false} {
		doc := []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
		if err := Check(Bytes(doc)); (err == nil) != want || json.Valid(doc) != want {
			t.Errorf("nesting of %d: %v, encoding/json says %v", n, err, json.Valid(doc))
		}
	}
}
