// Package wordcount counts the words of all text files under a folder as a map-reduce job: the plan
// cuts the files into splits, a map counts each split, and a tree of merges folds the counts while the
// map still runs. Package textfiles says what a text file and a word are.
//
// The workers must see the same folder: it is named in the job, not copied into it.
package wordcount

import (
	"context"
	"errors"
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

// Counts is how often each word occurs.
type Counts map[string]uint64

// The tasks. A lost worker costs an attempt of its splits and nothing else, so the crash limit is
// generous: the demo kills workers for sport.
var (
	Plan  = sdk.NewTask("wordcount.plan", plan, policy)
	Count = sdk.NewTask("wordcount.count", CountSplit, policy)
	Merge = sdk.NewTask("wordcount.merge", MergeCounts, policy)

	policy = sdk.Retry(sdk.RetryPolicy{MaxAttempts: 5, First: time.Second, CrashLimit: 50})
)

// WordCount is the workflow.
var WordCount = sdk.NewWorkflow("wordcount", func(corpus sdk.Ref[Corpus]) sdk.Ref[Counts] {
	splits := sdk.Then(corpus, Plan, sdk.StepName("plan"))
	counts := sdk.Each(splits, Count, sdk.StepName("count"))
	return sdk.Fold(counts, Merge, sdk.StepName("merge"), sdk.FanIn(16))
})

func plan(ctx context.Context, in Corpus) ([]textfiles.Split, error) {
	corpus, err := textfiles.Find(in.Root)
	if err != nil {
		return nil, sdk.Permanent(err)
	}
	splits := corpus.Cut(in.SplitBytes)
	if len(splits) == 0 {
		return nil, sdk.Permanent(fmt.Errorf("no text file under %s", in.Root))
	}
	sdk.Log(ctx).Info("planned", "splits", len(splits))
	return splits, nil
}

// CountSplit counts the words of one split.
func CountSplit(ctx context.Context, split textfiles.Split) (Counts, error) {
	found := make(map[string]*uint64)
	for _, part := range split.Parts {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		data, err := split.Read(part)
		if err != nil {
			return nil, err
		}
		for word := range textfiles.Words(data) {
			if n := found[string(word)]; n != nil { // no allocation for a known word
				*n++
				continue
			}
			one := uint64(1)
			found[string(word)] = &one
		}
	}
	counts := make(Counts, len(found))
	for word, n := range found {
		counts[word] = *n
	}
	return counts, nil
}

// MergeCounts adds counts up. It is associative, and of no counts it makes empty ones, as a fold wants.
func MergeCounts(_ context.Context, parts []Counts) (Counts, error) {
	sum := make(Counts)
	for _, part := range parts {
		for word, n := range part {
			if sum[word]+n < n {
				return nil, sdk.Permanent(errors.New("more than 2^64 words of one kind"))
			}
			sum[word] += n
		}
	}
	return sum, nil
}
