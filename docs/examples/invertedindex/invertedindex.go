// Package invertedindex finds for every word the files that hold it, as a map-reduce job over all text
// files under a folder. Its graph forks: the list of files and the index are made side by side and meet
// in a Join. Package textfiles says what a text file and a word are.
package invertedindex

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/docs/examples/textfiles"
	"github.com/fanfold/fanfold/sdk"
)

// Corpus is the input: the text files under Root, in splits of about SplitBytes (0: chosen by size).
type Corpus struct {
	Root       string `json:"root"`
	SplitBytes int64  `json:"split_bytes,omitempty"`
}

// Index maps each word to the numbers of the files that hold it.
type Index map[string]Postings

// Result is an index with the names of the files that its numbers stand for.
type Result struct {
	Files []string `json:"files"`
	Words Index    `json:"words"`
}

// Lookup lists the files that hold a word, in path order.
func (r Result) Lookup(word string) ([]string, error) {
	numbers, err := r.Words[word].Files()
	if err != nil {
		return nil, err
	}
	files := make([]string, 0, len(numbers))
	for _, n := range numbers {
		if n >= len(r.Files) {
			return nil, fmt.Errorf("the index names file %d of %d", n, len(r.Files))
		}
		files = append(files, r.Files[n])
	}
	return files, nil
}

// The tasks. See wordcount for the crash limit.
var (
	List  = sdk.NewTask("invertedindex.list", list, policy)
	Plan  = sdk.NewTask("invertedindex.plan", plan, policy)
	Parse = sdk.NewTask("invertedindex.parse", IndexSplit, policy)
	Merge = sdk.NewTask("invertedindex.merge", MergeIndexes, policy)

	policy = sdk.Retry(sdk.RetryPolicy{MaxAttempts: 5, First: time.Second, CrashLimit: 50})
)

// InvertedIndex is the workflow.
var InvertedIndex = sdk.NewWorkflow("invertedindex", func(corpus sdk.Ref[Corpus]) sdk.Ref[Result] {
	files := sdk.Then(corpus, List, sdk.StepName("list"))
	splits := sdk.Then(corpus, Plan, sdk.StepName("plan"))
	parsed := sdk.Each(splits, Parse, sdk.StepName("parse"))
	index := sdk.Fold(parsed, Merge, sdk.StepName("merge"), sdk.FanIn(16))
	return sdk.Join(
		sdk.Into(files, func(r *Result) *[]string { return &r.Files }),
		sdk.Into(index, func(r *Result) *Index { return &r.Words }),
	)
})

func list(_ context.Context, in Corpus) ([]string, error) {
	corpus, err := textfiles.Find(in.Root)
	if err != nil {
		return nil, sdk.Permanent(err)
	}
	return corpus.Files, nil
}

func plan(_ context.Context, in Corpus) ([]textfiles.Split, error) {
	corpus, err := textfiles.Find(in.Root)
	if err != nil {
		return nil, sdk.Permanent(err)
	}
	splits := corpus.Cut(in.SplitBytes)
	if len(splits) == 0 {
		return nil, sdk.Permanent(fmt.Errorf("no text file under %s", in.Root))
	}
	return splits, nil
}

// IndexSplit indexes the words of one split.
func IndexSplit(ctx context.Context, split textfiles.Split) (Index, error) {
	words := make(builder)
	for _, part := range split.Parts {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		data, err := split.Read(part)
		if err != nil {
			return nil, err
		}
		for word := range textfiles.Words(data) {
			if err := words.add(word, part.File); err != nil {
				return nil, sdk.Permanent(err)
			}
		}
	}
	return words.index(), nil
}

// MergeIndexes joins indexes of neighbouring splits, in order. A file that was cut is in two of them
// and once in the result.
func MergeIndexes(_ context.Context, parts []Index) (Index, error) {
	words := make(builder)
	for _, part := range parts {
		for word, postings := range part {
			files, err := postings.Files()
			if err != nil {
				return nil, sdk.Permanent(fmt.Errorf("files of %q: %w", word, err))
			}
			for _, file := range files {
				if err := words.add([]byte(word), file); err != nil {
					return nil, sdk.Permanent(err)
				}
			}
		}
	}
	return words.index(), nil
}
