// Command failures maps over items of which some can never succeed, in two ways: Tolerate leaves a few
// dead items out of the result, and EachSettled makes every error a value. Start `fanfold dev`, then
// `go run ./docs/examples/failures`.
package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/fanfold/fanfold/docs/examples/internal/local"
	"github.com/fanfold/fanfold/sdk"
)

// Parse fails for good on what is not a number.
var Parse = sdk.NewTask("failures.parse", func(_ context.Context, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, sdk.Permanent(err)
	}
	return n, nil
})

// Sum adds numbers up; of none it makes 0.
var Sum = sdk.NewTask("failures.sum", func(_ context.Context, numbers []int) (int, error) {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return sum, nil
})

// Explain says what became of each item.
var Explain = sdk.NewTask("failures.explain", func(_ context.Context, items []sdk.Settled[int]) ([]string, error) {
	lines := make([]string, len(items))
	for i, item := range items {
		if n, err := item.Get(); err != nil {
			lines[i] = "bad: " + err.Error()
		} else {
			lines[i] = fmt.Sprintf("good: %d", n)
		}
	}
	return lines, nil
})

// SumOfNumbers leaves out up to two items; a third dead one fails the job.
var SumOfNumbers = sdk.NewWorkflow("sum-of-numbers", func(texts sdk.Ref[[]string]) sdk.Ref[int] {
	return sdk.Fold(sdk.Each(texts, Parse, sdk.Tolerate(2)), Sum)
})

// Explanation never fails because of an item.
var Explanation = sdk.NewWorkflow("explanation", func(texts sdk.Ref[[]string]) sdk.Ref[[]string] {
	return sdk.Then(sdk.EachSettled(texts, Parse), Explain)
})

func main() {
	local.Run(func(ctx context.Context, client *sdk.Client) error {
		texts := []string{"1", "two", "3", "4"}
		sumJob, err := SumOfNumbers.Submit(ctx, client, texts)
		if err != nil {
			return err
		}
		explainJob, err := Explanation.Submit(ctx, client, texts)
		if err != nil {
			return err
		}
		sum, err := sumJob.Await(ctx)
		if err != nil {
			return err
		}
		lines, err := explainJob.Await(ctx)
		if err != nil {
			return err
		}
		fmt.Println("sum of the good ones:", sum)
		for _, line := range lines {
			fmt.Println(line)
		}
		return nil
	}, SumOfNumbers, Explanation)
}
