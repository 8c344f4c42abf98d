// Package mistakes does not compile. TestMistakes_DoNotCompile wants the compiler's error at every line
// that is marked, and at no other.
package mistakes

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

type split struct{}

type counts map[string]int

type report struct {
	Words counts
	Bytes int64
}

var (
	plan  = sdk.Declare[string, []split]("plan")
	count = sdk.Declare[split, counts]("count")
	size  = sdk.Declare[split, int64]("size")
	merge = sdk.Declare[[]counts, counts]("merge")
	show  = sdk.Declare[report, string]("show")
)

var nested = sdk.NewWorkflow("nested", func(in sdk.Ref[split]) sdk.Ref[counts] { return sdk.Then(in, count) })

func _(dir sdk.Ref[string], client *sdk.Client, ctx context.Context) {
	splits := sdk.Then(dir, plan)
	counted := sdk.Each(splits, count)
	sizes := sdk.Each(splits, size)

	sdk.Then(splits, merge)                                                                                  // ERROR the fan-in is of something else
	sdk.Each(dir, count)                                                                                     // ERROR not a list
	sdk.Each(splits, nested)                                                                                 // ERROR a workflow for each item
	sdk.Fold(sizes, merge)                                                                                   // ERROR merges other values
	sdk.FoldTo(splits, merge, merge)                                                                         // ERROR the leaf takes other items
	sdk.Flatten(splits)                                                                                      // ERROR not a list of lists
	sdk.Then(dir, plan, sdk.MaxParallel(3))                                                                  // ERROR there is nothing parallel
	sdk.Then(dir, plan, sdk.Tolerate(3))                                                                     // ERROR no items to tolerate
	sdk.Fold(counted, merge, sdk.Tolerate(3))                                                                // ERROR a fold cannot leave out
	sdk.Each(splits, count, sdk.FanIn(3))                                                                    // ERROR not a fold
	sdk.Declare[int, int]("x", sdk.StepName("y"))                                                            // ERROR a task is no step
	sdk.Declare[int, int]("x", sdk.FanIn(3))                                                                 // ERROR a task is no fold
	merge.Submit(ctx, client, 7)                                                                             // ERROR other input
	count.Bind(func(context.Context, string) (counts, error) { return nil, nil })                            // ERROR other function
	sdk.Into(counted, func(r *report) *counts { return &r.Words })                                           // ERROR a list into a single field
	sdk.Then(sdk.Join(sdk.Into(sizes, func(r *struct{ Sizes []int64 }) *[]int64 { return &r.Sizes })), show) // ERROR another struct
	_ = sdk.Ref[int](sdk.Ref[string]{})                                                                      // ERROR refs do not convert
	_ = sdk.NewWorkflow("w", func(in sdk.Ref[string]) sdk.Ref[counts] { return sdk.Then(in, plan) })         // ERROR other result

	sdk.Then(dir, plan, sdk.Timeout(time.Second), sdk.StepName("plan"), sdk.After(splits))
	sdk.Fold(counted, merge, sdk.FanIn(3), sdk.MaxParallel(2), sdk.Queue("q"))
}
