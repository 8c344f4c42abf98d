package sdk_test

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk"
)

type split struct{ File string }

type counts map[string]int

type report struct {
	Words counts `json:"words"`
	Bytes int64  `json:"bytes"`
	note  string
}

var (
	tPlan   = sdk.NewTask("wc.plan", func(context.Context, string) ([]split, error) { return nil, nil })
	tCount  = sdk.NewTask("wc.count", func(context.Context, split) (counts, error) { return nil, nil }, sdk.Timeout(time.Minute), sdk.Retry(sdk.RetryPolicy{MaxAttempts: 5}))
	tMerge  = sdk.NewTask("wc.merge", func(context.Context, []counts) (counts, error) { return nil, nil }, sdk.Queue("merge"))
	tSize   = sdk.NewTask("wc.size", func(context.Context, split) (int64, error) { return 0, nil })
	tSum    = sdk.NewTask("wc.sum", func(context.Context, []int64) (int64, error) { return 0, nil })
	tRender = sdk.NewTask("wc.render", func(context.Context, report) (string, error) { return "", nil })
	tInc    = sdk.NewTask("inc", func(_ context.Context, n int) (int, error) { return n + 1, nil })
)

var wordCount = sdk.NewWorkflow("wordcount", func(dir sdk.Ref[string]) sdk.Ref[counts] {
	splits := sdk.Then(dir, tPlan)
	counted := sdk.Each(splits, tCount, sdk.MaxParallel(64), sdk.Tolerate(2))
	return sdk.Fold(counted, tMerge, sdk.FanIn(4))
})

// steps prints a graph's steps, one a line: name kind input options.
func steps(t *testing.T, graph []byte) string {
	t.Helper()
	g, err := dag.Decode(graph)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range g.Steps {
		options, _ := json.Marshal(s.Options)
		b.WriteString(s.Name + " " + string(s.Kind) + " " + s.Task + "(" + s.Input.String() + ")")
		if s.Merge != "" {
			b.WriteString(" merge " + s.Merge)
		}
		if len(s.After) > 0 {
			b.WriteString(" after " + strings.Join(s.After, ","))
		}
		if string(options) != "{}" {
			b.WriteString(" " + string(options))
		}
		b.WriteString("\n")
	}
	return b.String() + "= " + g.Output.String() + "\n"
}

func wantSteps(t *testing.T, graph []byte, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimLeft(want, "\n"), steps(t, graph)); diff != "" {
		t.Errorf("graph (-want +got):\n%s", diff)
	}
}

func TestNewWorkflow_MapReduce(t *testing.T) {
	wantSteps(t, wordCount.Graph(), `
wc.plan task wc.plan(input)
wc.count map wc.count(wc.plan) {"timeout_ms":60000,"retry":{"max_attempts":5},"max_parallel":64,"tolerate":2}
wc.merge fold wc.merge(wc.count) {"queue":"merge","fan_in":4}
= wc.merge
`)
	g, err := dag.Decode(wordCount.Graph())
	if err != nil {
		t.Fatal(err)
	}
	if !g.Streams(2) {
		t.Error("the fold over the map does not stream")
	}
}

func TestThen_NestedWorkflowIsInlined(t *testing.T) {
	w := sdk.NewWorkflow("report", func(dir sdk.Ref[string]) sdk.Ref[string] {
		splits := sdk.Then(dir, tPlan)
		words := sdk.Then(dir, wordCount, sdk.After(splits), sdk.Priority(0))
		again := sdk.Then(dir, wordCount)
		bytes := sdk.Then(sdk.Each(splits, tSize), tSum)
		return sdk.Then(sdk.Join(
			sdk.Into(words, func(r *report) *counts { return &r.Words }),
			sdk.Into(bytes, func(r *report) *int64 { return &r.Bytes }),
		), tRender, sdk.After(again))
	}, sdk.Queue("slow"))
	wantSteps(t, w.Graph(), `
wc.plan task wc.plan(input) {"queue":"slow"}
wordcount/wc.plan task wc.plan(input) after wc.plan {"queue":"slow","priority":1}
wordcount/wc.count map wc.count(wordcount/wc.plan) {"queue":"slow","priority":1,"timeout_ms":60000,"retry":{"max_attempts":5},"max_parallel":64,"tolerate":2}
wordcount/wc.merge fold wc.merge(wordcount/wc.count) {"queue":"merge","priority":1,"fan_in":4}
wordcount-2/wc.plan task wc.plan(input) {"queue":"slow"}
wordcount-2/wc.count map wc.count(wordcount-2/wc.plan) {"queue":"slow","timeout_ms":60000,"retry":{"max_attempts":5},"max_parallel":64,"tolerate":2}
wordcount-2/wc.merge fold wc.merge(wordcount-2/wc.count) {"queue":"merge","fan_in":4}
wc.size map wc.size(wc.plan) {"queue":"slow"}
wc.sum task wc.sum(wc.size) {"queue":"slow"}
wc.render task wc.render({words: wordcount/wc.merge, bytes: wc.sum}) after wordcount-2/wc.merge {"queue":"slow"}
= wc.render
`)
}

func TestVerbs_ValuesWithoutTasks(t *testing.T) {
	pairs := sdk.NewTask("pairs", func(context.Context, sdk.Pair[[][]int, []int]) (int, error) { return 0, nil })
	w := sdk.NewWorkflow("lists", func(in sdk.Ref[[]int]) sdk.Ref[int] {
		chunks := sdk.Chunk(sdk.Const(in, []int{1, 2, 3}), 2)
		return sdk.Then(sdk.Zip(chunks, sdk.Flatten(sdk.Chunk(in, 3))), pairs)
	})
	wantSteps(t, w.Graph(), `
pairs task pairs({first: chunk(const [1,2,3], 2), second: flatten(chunk(input, 3))})
= pairs
`)
}

func TestThen_ManyUsesGetNumberedNames(t *testing.T) {
	w := sdk.NewWorkflow("chain", func(in sdk.Ref[int]) sdk.Ref[int] {
		for range 3 {
			in = sdk.Then(in, tInc)
		}
		return sdk.Then(in, tInc, sdk.StepName("last"))
	})
	wantSteps(t, w.Graph(), `
inc task inc(input)
inc-2 task inc(inc)
inc-3 task inc(inc-2)
last task inc(inc-3)
= last
`)
}

// TestCheck_AllMistakesWithTheirLines has every kind of mistake in one workflow.
func TestCheck_AllMistakesWithTheirLines(t *testing.T) {
	var leaked sdk.Ref[int]
	sdk.NewWorkflow("other", func(in sdk.Ref[int]) sdk.Ref[int] {
		leaked = in
		return sdk.Then(in, tInc)
	})
	echo := sdk.NewTask("echo", func(_ context.Context, b byte) (byte, error) { return b, nil })
	show := sdk.NewTask("show", func(_ context.Context, r report) (int, error) { return 0, nil })
	err := sdk.Check("bad name", func(in sdk.Ref[int]) sdk.Ref[int] {
		sdk.Then(in, tInc, sdk.StepName("twice"))
		sdk.Then(in, tInc, sdk.StepName("twice"), sdk.Priority(11), sdk.Queue("a b"))
		bytes := sdk.Each(sdk.Const(in, []byte("x")), echo)
		sdk.Chunk(bytes, 0)
		r := sdk.Then(sdk.Join(
			sdk.Into(in, func(r *report) *int { return new(int) }),
			sdk.Into(sdk.Const(in, "x"), func(r *report) *string { return &r.note }),
			sdk.Into(sdk.Const(in, int64(1)), func(r *report) *int64 { return &r.Bytes }),
			sdk.Into(sdk.Const(in, int64(2)), func(r *report) *int64 { return &r.Bytes }),
		), show)
		_ = sdk.Then(sdk.Zip(in, leaked), sdk.NewTask("pair", func(context.Context, sdk.Pair[int, int]) (int, error) { return 0, nil }))
		return sdk.Then(in, tInc, sdk.After(r, sdk.Ref[int]{}))
	})
	if err == nil {
		t.Fatal("no error")
	}
	got := regexp.MustCompile(`_test\.go:\d+`).ReplaceAllString(err.Error(), "_test.go:N")
	want := `sdk: workflow bad name:
sdk/workflow_test.go:N: workflow name "bad name": a name has 1 to 255 characters of A-Z a-z 0-9 . _ / -
sdk/workflow_test.go:N: Priority(11) is not between 0 and 9
sdk/workflow_test.go:N: Queue("a b"): a name has 1 to 255 characters of A-Z a-z 0-9 . _ / -
sdk/workflow_test.go:N: step name twice is taken
sdk/workflow_test.go:N: a []byte is one JSON string and not a list; use a slice of another type
sdk/workflow_test.go:N: Chunk: 0 items is not between 1 and 1,048,576
sdk/workflow_test.go:N: Into: the function must return the address of a field of sdk_test.report that JSON carries
sdk/workflow_test.go:N: Into: the function must return the address of a field of sdk_test.report that JSON carries
sdk/workflow_test.go:N: field bytes is given twice
sdk/workflow_test.go:N: the Ref belongs to workflow other, which is finished; pass values between workflows by Then
sdk/workflow_test.go:N: the Ref is a zero value: it belongs to no workflow
sdk/workflow_test.go:N: step twice is not used: return its value, pass it on, or order a later step by After
sdk/workflow_test.go:N: step twice is not used: return its value, pass it on, or order a later step by After
sdk/workflow_test.go:N: step echo is not used: return its value, pass it on, or order a later step by After`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if line := regexp.MustCompile(`_test\.go:(\d+): Priority`).FindStringSubmatch(err.Error()); line == nil {
		t.Error("the line is missing")
	}
}

func TestNewWorkflow_ForeignResultPanics(t *testing.T) {
	defer func() {
		if got, want := recover(), "sdk: workflow inner:\nthe returned Ref belongs to workflow outer"; got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}()
	sdk.NewWorkflow("outer", func(in sdk.Ref[int]) sdk.Ref[int] {
		sdk.NewWorkflow("inner", func(sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(in, tInc) })
		return in
	})
}

func TestNewTask_MistakesPanic(t *testing.T) {
	cases := map[string]func(){
		"types":  func() { sdk.NewTask("x", func(context.Context, chan int) (int, error) { return 0, nil }) },
		"name":   func() { sdk.Declare[int, int]("a b") },
		"option": func() { sdk.Declare[int, int]("x", sdk.Retry(sdk.RetryPolicy{Factor: 0.5, MaxAttempts: -1})) },
		"nil":    func() { sdk.NewTask[int, int]("x", nil) },
		"with":   func() { tInc.With(sdk.Timeout(-1)) },
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if !strings.HasPrefix(got, "sdk: sdk/workflow_test.go:") {
					t.Errorf("panic %q does not name this file", got)
				}
			}()
			f()
			t.Error("no panic")
		})
	}
}
