package dag

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkNext goes over a document of a million items by one List; an operation is one item.
func BenchmarkNext(b *testing.B) {
	const items = 1_000_000
	doc := strings.NewReader(numbers(items))
	e := Input()
	l, err := NewList(&e, fixed{doc})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(doc.Size() / items)
	b.ReportAllocs()
	var c Cursor
	for b.Loop() {
		_, next, ok, err := l.Next(c)
		if err != nil {
			b.Fatal(err)
		}
		if c = next; !ok {
			c = nil
		}
	}
}

// BenchmarkNext_Fresh does the same with a new List for every item, as an apply does.
func BenchmarkNext_Fresh(b *testing.B) {
	doc := strings.NewReader(numbers(1_000_000))
	e := Input()
	b.ReportAllocs()
	var c Cursor
	for b.Loop() {
		l, err := NewList(&e, fixed{doc})
		if err != nil {
			b.Fatal(err)
		}
		_, next, ok, err := l.Next(c)
		if err != nil {
			b.Fatal(err)
		}
		if c = next; !ok {
			c = nil
		}
	}
}

// BenchmarkCount counts the items of a million-item document; an operation is the whole document.
func BenchmarkCount(b *testing.B) {
	doc := strings.NewReader(numbers(1_000_000))
	e := Input()
	b.SetBytes(doc.Size())
	for b.Loop() {
		l, err := NewList(&e, fixed{doc})
		if err != nil {
			b.Fatal(err)
		}
		if n, err := l.Count(); n != 1_000_000 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkRelease runs through a graph of 7,920 steps in layers of 80, each step after six of the
// layer before; an operation is one completion.
func BenchmarkRelease(b *testing.B) {
	g := layered(b, 99, 80, 6)
	left := make([]int, g.Len())
	b.ReportAllocs()
	ready := 0
	for id := StepID(0); b.Loop(); id++ {
		if int(id) == g.Len() {
			id = 0
		}
		if id == 0 {
			for s := range left {
				left[s] = len(g.Dependencies(StepID(s)))
			}
		}
		g.Release(id, func(s StepID) int { left[s]--; return left[s] }, func(StepID) { ready++ })
	}
}

// BenchmarkDecode decodes, checks and links the same graph.
func BenchmarkDecode(b *testing.B) {
	data := Encode(layered(b, 20, 100, 10))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func layered(tb testing.TB, layers, width, in int) *Graph {
	build := NewBuilder("layers")
	var out Expr
	for layer := range layers {
		for i := range width {
			s := Step{Task: "t", Input: Input()}
			for k := range in {
				if layer > 0 {
					s.After = append(s.After, fmt.Sprintf("%d.%d", layer-1, (i+k*7)%width))
				}
			}
			out = build.Task(fmt.Sprintf("%d.%d", layer, i), s)
		}
	}
	build.Output(out)
	g, err := build.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// BenchmarkDecode_OneStep is the graph of a single task, the one that is decoded most.
func BenchmarkDecode_OneStep(b *testing.B) {
	data := Encode(layered(b, 1, 1, 0))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
