// Command quickstart is the program of the README: it counts words as a map-reduce job, and is worker and
// submitter in one process. Start `fanfold dev`, then `go run ./docs/examples/quickstart`.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/fanfold/fanfold/sdk"
)

// A test compares what follows with the README.

var (
	lines = sdk.NewTask("quickstart.lines", func(_ context.Context, text string) ([]string, error) {
		return strings.Split(text, "\n"), nil
	})
	count = sdk.NewTask("quickstart.count", func(_ context.Context, line string) (int, error) {
		return len(strings.Fields(line)), nil
	})
	sum = sdk.NewTask("quickstart.sum", func(_ context.Context, parts []int) (total int, _ error) {
		for _, n := range parts {
			total += n
		}
		return total, nil
	})
	words = sdk.NewWorkflow("quickstart", func(text sdk.Ref[string]) sdk.Ref[int] {
		counts := sdk.Each(sdk.Then(text, lines), count) // fan-out; the width is known at run time only
		return sdk.Fold(counts, sum)                     // fan-in; a tree that folds while the map runs
	})
)

func main() {
	client, err := sdk.NewClient(sdk.ClientConfig{}) // 127.0.0.1:7400
	check(err)
	worker := sdk.NewWorker(client, sdk.WorkerConfig{})
	worker.Register(words)
	go worker.Run(context.Background())
	job, err := words.Submit(context.Background(), client, "to be\nor not to be")
	check(err)
	total, err := job.Await(context.Background())
	check(err)
	fmt.Println(total, "words") // 6 words
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
