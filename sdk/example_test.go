package sdk_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// The examples run on a node in this process.
var node = sync.OnceValue(func() *sdktest.Cluster {
	c, err := sdktest.Start()
	if err != nil {
		log.Fatal(err)
	}
	return c
})

// dialed stands for sdk.NewClient(sdk.ClientConfig{Addresses: ...}).
func dialed() *sdk.Client { return node().Client() }

// work runs a worker for the tasks until the function that it returns is called.
func work(units ...sdk.Registrable) (stop func()) {
	w := node().StartWorker(sdk.WorkerConfig{}, units...)
	return func() {
		if err := w.Stop(); err != nil {
			log.Fatal(err)
		}
	}
}

// run submits a job of the unit, runs a worker for it, and waits for the result.
func run[In, Out any](unit sdk.Submittable[In, Out], in In, tasks ...sdk.Registrable) (out Out, err error) {
	defer work(append(tasks, unit)...)()
	job, err := unit.Submit(context.Background(), dialed(), in)
	if err != nil {
		return out, err
	}
	return job.Await(context.Background())
}

// The word count of a few lines: a map over them, and a tree that adds up what it finds.
func Example() {
	type Counts map[string]int
	split := sdk.NewTask("split", func(_ context.Context, text string) ([]string, error) {
		return strings.Split(text, "\n"), nil
	})
	count := sdk.NewTask("count", func(_ context.Context, line string) (Counts, error) {
		counts := Counts{}
		for word := range strings.FieldsSeq(line) {
			counts[word]++
		}
		return counts, nil
	})
	merge := sdk.NewTask("merge", func(_ context.Context, parts []Counts) (Counts, error) {
		total := Counts{}
		for _, part := range parts {
			for word, n := range part {
				total[word] += n
			}
		}
		return total, nil
	})
	wordCount := sdk.NewWorkflow("wordcount", func(text sdk.Ref[string]) sdk.Ref[Counts] {
		lines := sdk.Then(text, split)
		counts := sdk.Each(lines, count, sdk.MaxParallel(64))
		return sdk.Fold(counts, merge, sdk.FanIn(16))
	})

	ctx := context.Background()
	client := dialed()
	defer work(wordCount)()
	job, err := wordCount.Submit(ctx, client, "to be or\nnot to be")
	if err != nil {
		log.Fatal(err)
	}
	counts, err := job.Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Println(word, counts[word])
	}
	// Output:
	// be 2
	// not 1
	// or 1
	// to 2
}
