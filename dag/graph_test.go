package dag

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustParse(tb testing.TB, text string) *Graph {
	g, err := Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// wantProblem fails unless the error has the text, and cuts what it prints.
func wantProblem(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %.300v\nwant %q", err, want)
	}
}

// oneStep builds a graph of one step over the expression.
func oneStep(e Expr) (*Graph, error) {
	b := NewBuilder("w")
	b.Output(b.Task("a", Step{Task: "t", Input: e}))
	return b.Build()
}

func TestBuild_LimitsAreReported(t *testing.T) {
	t.Run("steps", func(t *testing.T) {
		b := NewBuilder("w")
		for i := range MaxSteps + 1 {
			b.Output(b.Task(fmt.Sprint(i), Step{Task: "t", Input: Input()}))
		}
		_, err := b.Build()
		wantProblem(t, err, "the workflow has 10001 steps, the limit is 10000")
	})
	t.Run("references", func(t *testing.T) {
		b := NewBuilder("w")
		var all []Field
		for i := range MaxRefs + 1 {
			all = append(all, Field{Name: fmt.Sprint(i), Of: b.Task(fmt.Sprint(i), Step{Task: "t", Input: Input()})})
		}
		b.Output(b.Task("join", Step{Task: "t", Input: Object(all...)}))
		_, err := b.Build()
		wantProblem(t, err, `step "join": refers to 1001 steps, the limit is 1000`)
	})
	t.Run("depth", func(t *testing.T) {
		e := Input()
		for range MaxDepth - 1 {
			e = Flatten(e)
		}
		if _, err := oneStep(e); err != nil {
			t.Errorf("the deepest expression that is allowed: %v", err)
		}
		_, err := oneStep(Flatten(e))
		wantProblem(t, err, `step "a": the expression flatten(flatten(`)
	})
	t.Run("an expression that holds itself", func(t *testing.T) {
		e := Flatten(Input())
		e.Of = &e
		_, err := oneStep(e)
		wantProblem(t, err, "nested deeper than 16")
	})
	t.Run("an expression that unfolds to billions", func(t *testing.T) {
		e := Input()
		for range MaxDepth - 1 {
			var fields []Field
			for i := range 100 {
				fields = append(fields, Field{Name: fmt.Sprint(i), Of: e})
			}
			e = Object(fields...)
		}
		_, err := oneStep(e)
		wantProblem(t, err, "more than 16000 parts")
	})
	t.Run("size", func(t *testing.T) {
		large := Const([]byte(`"` + strings.Repeat("x", MaxEncoded) + `"`))
		_, err := oneStep(large)
		wantProblem(t, err, "the limit is 1048576")
		_, err = Decode(make([]byte, MaxEncoded+1))
		wantProblem(t, err, "the limit is 1048576")
	})
	t.Run("name", func(t *testing.T) {
		b := NewBuilder(strings.Repeat("n", MaxName+1))
		b.Output(b.Task(strings.Repeat("n", MaxName), Step{Task: "t", Input: Input()}))
		_, err := b.Build()
		wantProblem(t, err, "the workflow's name is")
	})
	t.Run("problems", func(t *testing.T) {
		b := NewBuilder("w")
		for i := range 2 * maxProblems {
			b.Output(b.Task(fmt.Sprint(i), Step{Task: "t"}))
		}
		_, err := b.Build()
		wantProblem(t, err, "and 100 more problems")
	})
	t.Run("long cycle", func(t *testing.T) {
		b := NewBuilder("w")
		for i := range 100 {
			b.Task(fmt.Sprint(i), Step{Task: "t", Input: Result(fmt.Sprint((i + 1) % 100))})
		}
		b.Output(Result("0"))
		_, err := b.Build()
		wantProblem(t, err, "0 -> 1 -> 2 ->")
		wantProblem(t, err, "(80 more) -> 0:")
	})
	t.Run("operands", func(t *testing.T) {
		for _, e := range []Expr{
			{Op: OpInput, Step: "a"}, {Op: OpStep}, {Op: OpConst}, {Op: OpConst, Value: Raw("{")},
			{Op: OpChunk, N: 1}, {Op: OpFlatten}, {Op: OpObject, N: 1},
		} {
			_, err := oneStep(e)
			wantProblem(t, err, `step "a"`)
		}
	})
}

// TestBuild_GraphSharesNothingWithTheBuilder changes everything that went in, and builds twice.
func TestBuild_GraphSharesNothingWithTheBuilder(t *testing.T) {
	value := []byte(`[1, 2]`)
	fields := []Field{{Name: "c", Of: Const(value)}, {Name: "l", Of: Chunk(Input(), 2)}}
	after := []string{"a"}
	b := NewBuilder("w")
	b.Task("a", Step{Task: "t", Input: Input()})
	b.Output(b.Task("b", Step{Task: "t", Input: Object(fields...), After: after}))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	before := string(Encode(g))
	value[1], fields[0].Name, after[0] = '7', "x", "b"
	fields[1].Of.Of.Op = OpConst
	if got := string(Encode(g)); got != before {
		t.Errorf("the graph changed from %s to %s", before, got)
	}
}

// TestBuild_OrderDependsOnTheGraphOnly: random graphs, their steps added in random order, come out in
// an order that respects all edges, which decodes, and a second build gives the same bytes.
func TestBuild_OrderDependsOnTheGraphOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "steps")
		order := rapid.Permutation(numbersTo(n)).Draw(t, "order")
		b, again := NewBuilder("w"), NewBuilder("w")
		for _, i := range order {
			s := Step{Task: "t", Input: Input()}
			for range rapid.IntRange(0, 3).Draw(t, "edges") {
				if i > 0 {
					s.Input = Object(Field{"x", s.Input}, Field{"y", Result(fmt.Sprint(rapid.IntRange(0, i-1).Draw(t, "to")))})
				}
			}
			b.Output(b.Task(fmt.Sprint(i), s))
			again.Output(again.Task(fmt.Sprint(i), s))
		}
		g, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		h, err := again.Build()
		if err != nil || !g.Equal(h) {
			t.Fatalf("the second build gives %s, %v", h, err)
		}
		decoded, err := Decode(Encode(g))
		if err != nil || !g.Equal(decoded) {
			t.Fatalf("decoded as %v, %v", decoded, err)
		}
		if diff := cmp.Diff(g, decoded, cmp.AllowUnexported(Graph{}, Expr{})); diff != "" {
			t.Fatalf("Build and Decode differ in what they derive:\n%s", diff)
		}
		runAll(t, g)
	})
}

func numbersTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// runAll ends the ready steps in random order: every step becomes ready once, after all that it needs.
func runAll(t *rapid.T, g *Graph) {
	left := make([]int, g.Len())
	done := make([]bool, g.Len())
	var ready []StepID
	for id := range StepID(g.Len()) {
		if left[id] = len(g.Dependencies(id)); left[id] == 0 {
			ready = append(ready, id)
		}
	}
	ran := 0
	for ; len(ready) > 0; ran++ {
		at := rapid.IntRange(0, len(ready)-1).Draw(t, "next")
		id := ready[at]
		ready = append(ready[:at], ready[at+1:]...)
		for _, d := range g.Dependencies(id) {
			if !done[d] {
				t.Fatalf("step %d became ready before %d", id, d)
			}
		}
		done[id] = true
		g.Release(id, func(s StepID) int { left[s]--; return left[s] }, func(s StepID) { ready = append(ready, s) })
	}
	if ran != g.Len() {
		t.Fatalf("%d of %d steps ran", ran, g.Len())
	}
}

func TestRelease_OnceTooOftenPanics(t *testing.T) {
	g := mustParse(t, "w: a:task b:task\na < b")
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, `step "b" was released by "a" more often`) {
			t.Errorf("panic %q", p)
		}
	}()
	g.Release(0, func(StepID) int { return -1 }, func(StepID) { t.Error("ready") })
}

func TestEncode_BrokenConstantPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Encode(&Graph{Output: Const([]byte("{"))})
}

// TestEncode_GoldenBytes: graphs are stored, so these bytes must be read, and written, for ever.
func TestEncode_GoldenBytes(t *testing.T) {
	const golden = `{"v":1,"name":"wordcount","steps":[` +
		`{"name":"plan","kind":"task","task":"wc.plan","types":"s>l","input":{"op":"object","fields":[{"name":"dir","of":{"op":"input"}},{"name":"max","of":{"op":"const","value":7}}]}},` +
		`{"name":"count","kind":"map","task":"wc.count","input":{"op":"chunk","of":{"op":"flatten","of":{"op":"step","step":"plan"}},"n":3},"options":{"queue":"q","priority":2,"timeout_ms":1000,"retry":{"max_attempts":5,"crash_limit":2,"first_ms":10,"factor_milli":1500,"cap_ms":600,"jitter_percent":-1},"max_parallel":64,"tolerate":2,"settled":true}},` +
		`{"name":"merge","kind":"fold","task":"wc.leaf","merge":"wc.merge","merge_types":"m","input":{"op":"step","step":"count"},"after":["plan"],"options":{"fan_in":4}}],` +
		`"output":{"op":"step","step":"merge"}}`
	g, err := Decode([]byte(golden))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden, string(Encode(g))); diff != "" {
		t.Errorf("a stored graph changes (-want +got):\n%s", diff)
	}
	if id := g.Step(2).Input.StepID(); id != 1 || !g.Streams(2) || g.Output.StepID() != 2 {
		t.Errorf("references resolve to %d and %d, streams %v", id, g.Output.StepID(), g.Streams(2))
	}
}

func TestWithDefaults_FillsZeroFieldsOnly(t *testing.T) {
	want := Options{
		Queue: "default", Priority: 6, MaxParallel: 10_000, FanIn: 16,
		Retry: Retry{MaxAttempts: 25, CrashLimit: 3, FactorMilli: 2_000, CapMS: 86_400_000, JitterPercent: 10},
	}
	if diff := cmp.Diff(want, Options{}.WithDefaults()); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	full := Options{
		Queue: "q", Priority: 1, TimeoutMS: 2, MaxParallel: 3, Tolerate: 4, Settled: true, FanIn: 5,
		Retry: Retry{MaxAttempts: 6, CrashLimit: 7, FirstMS: 8, FactorMilli: 9, CapMS: 10, JitterPercent: -1},
	}
	if diff := cmp.Diff(full, full.WithDefaults()); diff != "" {
		t.Errorf("set fields changed (-want +got):\n%s", diff)
	}
}
