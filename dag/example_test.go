package dag_test

import (
	"fmt"
	"os"

	"github.com/fanfold/fanfold/dag"
)

func Example() {
	b := dag.NewBuilder("wordcount")
	splits := b.Task("plan", dag.Step{Task: "wc.plan", Input: dag.Input()})
	counts := b.Map("count", dag.Step{Task: "wc.count", Input: splits, Options: dag.Options{MaxParallel: 64}})
	b.Output(b.Fold("merge", dag.Step{Task: "wc.merge", Input: counts}))
	g, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g)
	// Output:
	// wordcount: plan:task:wc.plan count:map:wc.count merge:fold:wc.merge
	// plan < count < merge
}

// All that is wrong is said at once.
func ExampleBuilder_Build() {
	b := dag.NewBuilder("report")
	b.Task("load", dag.Step{Task: "load", Input: dag.Result("render")})
	b.Task("render", dag.Step{Task: "render it", Input: dag.Result("load"), After: []string{"clean"}})
	_, err := b.Build()
	fmt.Println(err)
	// Output:
	// dag: step "render": the task's name is "render it": a name is 1 to 255 letters, digits and ._/-
	// dag: step "render": comes after the step "clean", which does not exist: add it, or correct the name
	// dag: output: is not set: say what the job returns, for example the last step's result
	// dag: the steps wait for each other in a cycle, so none can start: load -> render -> load: take out one of these dependencies
}

func ExampleGraph_Release() {
	g, err := dag.Parse("diamond: top:task left:task right:task join:task\ntop < left < join, top < right < join")
	if err != nil {
		fmt.Println(err)
		return
	}
	left := make([]int, g.Len())
	for id := range left {
		left[id] = len(g.Dependencies(dag.StepID(id)))
	}
	for _, done := range []dag.StepID{0, 2, 1} {
		fmt.Print(g.Step(done).Name, " done:")
		g.Release(done,
			func(s dag.StepID) int { left[s]--; return left[s] },
			func(s dag.StepID) { fmt.Print(" ", g.Step(s).Name) })
		fmt.Println()
	}
	// Output:
	// top done: left right
	// right done:
	// left done: join
}

func ExampleTree() {
	t := dag.Tree{Leaves: 100, FanIn: 16}
	for level := 1; level <= t.Levels(); level++ {
		fmt.Println("level", level, "has", t.Width(level), "nodes")
	}
	first, count := t.Children(dag.Node{Level: 1, Index: 6})
	fmt.Println("the last one of level 1 takes", count, "leaves from", first)
	// Output:
	// level 1 has 7 nodes
	// level 2 has 1 nodes
	// the last one of level 1 takes 4 leaves from 96
}

// input resolves the job's input and constants, as a graph without steps needs.
type input struct{ doc string }

func (in input) IsList(*dag.Expr) bool { return false }

func (in input) Elements(e *dag.Expr) (dag.Elements, error) {
	return nil, fmt.Errorf("%s is no map", e)
}

func (in input) Document(e *dag.Expr) (dag.Document, error) {
	if e.Op == dag.OpConst {
		return dag.Bytes(e.Value), nil
	}
	return dag.Bytes(in.doc), nil
}

func ExampleList() {
	e := dag.Chunk(dag.Flatten(dag.Input()), 2)
	values := input{`[[1, 2, 3], [], [4, 5]]`}
	var at dag.Cursor // stored between the items, if need be for days and on another machine
	for {
		list, err := dag.NewList(&e, values)
		if err != nil {
			fmt.Println(err)
			return
		}
		item, next, ok, err := list.Next(at)
		if err != nil || !ok {
			break
		}
		fmt.Printf("%s then %d\n", item, next)
		at = next
	}
	// Output:
	// [1,2] then [6]
	// [3,4] then [18]
	// [5] then [24]
}

func ExampleRender() {
	e := dag.Object(
		dag.Field{Name: "all", Of: dag.Flatten(dag.Input())},
		dag.Field{Name: "limit", Of: dag.Const([]byte(`10`))},
	)
	if err := dag.Render(os.Stdout, &e, input{`[["a"],["b","c"]]`}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"all":["a","b","c"],"limit":10}
}

func ExampleRetry_DelayMS() {
	curve := dag.Retry{JitterPercent: -1}
	doubling := dag.Retry{FirstMS: 500, CapMS: 3_000, JitterPercent: -1}
	for failures := range uint32(5) {
		fmt.Println(curve.DelayMS(failures+1, 0), doubling.DelayMS(failures+1, 0))
	}
	// Output:
	// 15000 500
	// 16000 1000
	// 31000 2000
	// 96000 3000
	// 271000 3000
}
