// Command diamond forks into two steps that run side by side and joins their results in a struct; the
// fields are chosen by pointer, so a wrong name or type does not compile. Start `fanfold dev`, then
// `go run ./docs/examples/diamond`.
package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/fanfold/fanfold/docs/examples/internal/local"
	"github.com/fanfold/fanfold/sdk"
)

// Extent is where the two branches meet.
type Extent struct {
	Least    int
	Greatest int
	Numbers  []int
}

// The tasks of the diamond.
var (
	Numbers = sdk.NewTask("diamond.numbers", func(_ context.Context, n int) ([]int, error) {
		numbers := make([]int, n)
		for i := range numbers {
			numbers[i] = (i*7 + 3) % 11
		}
		return numbers, nil
	})
	Least = sdk.NewTask("diamond.least", func(_ context.Context, numbers []int) (int, error) {
		return slices.Min(numbers), nil
	})
	Greatest = sdk.NewTask("diamond.greatest", func(_ context.Context, numbers []int) (int, error) {
		return slices.Max(numbers), nil
	})
	Report = sdk.NewTask("diamond.report", func(_ context.Context, e Extent) (string, error) {
		return fmt.Sprintf("%d numbers from %d to %d", len(e.Numbers), e.Least, e.Greatest), nil
	})
)

// Describe is the diamond: Numbers, then Least beside Greatest, then Report.
var Describe = sdk.NewWorkflow("describe", func(n sdk.Ref[int]) sdk.Ref[string] {
	numbers := sdk.Then(n, Numbers)
	least := sdk.Then(numbers, Least)
	greatest := sdk.Then(numbers, Greatest)
	return sdk.Then(sdk.Join(
		sdk.Into(least, func(e *Extent) *int { return &e.Least }),
		sdk.Into(greatest, func(e *Extent) *int { return &e.Greatest }),
		sdk.Into(numbers, func(e *Extent) *[]int { return &e.Numbers }),
	), Report)
})

func main() {
	local.Run(func(ctx context.Context, client *sdk.Client) error {
		job, err := Describe.Submit(ctx, client, 5)
		if err != nil {
			return err
		}
		text, err := job.Await(ctx)
		if err == nil {
			fmt.Println(text)
		}
		return err
	}, Describe)
}
