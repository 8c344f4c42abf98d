// Command chain runs three steps one after the other; the compiler checks that each takes what the one
// before returns. Start `fanfold dev`, then `go run ./docs/examples/chain`.
package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/fanfold/fanfold/docs/examples/internal/local"
	"github.com/fanfold/fanfold/sdk"
)

// The tasks of the chain.
var (
	Split = sdk.NewTask("chain.split", func(_ context.Context, text string) ([]string, error) {
		return strings.Fields(text), nil
	})
	Longest = sdk.NewTask("chain.longest", func(_ context.Context, words []string) (string, error) {
		longest := ""
		for _, word := range words {
			if len(word) > len(longest) {
				longest = word
			}
		}
		return longest, nil
	})
	Shout = sdk.NewTask("chain.shout", func(_ context.Context, word string) (string, error) {
		return strings.ToUpper(word) + "!", nil
	})
)

// LongestWord is the chain.
var LongestWord = sdk.NewWorkflow("longest-word", func(text sdk.Ref[string]) sdk.Ref[string] {
	words := sdk.Then(text, Split)
	word := sdk.Then(words, Longest)
	return sdk.Then(word, Shout)
})

func main() {
	local.Run(func(ctx context.Context, client *sdk.Client) error {
		job, err := LongestWord.Submit(ctx, client, "one log entry for each step")
		if err != nil {
			return err
		}
		word, err := job.Await(ctx)
		if err == nil {
			fmt.Println(word)
		}
		return err
	}, LongestWord)
}
