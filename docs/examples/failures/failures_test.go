package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestSumOfNumbers_LeavesOutWhatItTolerates(t *testing.T) {
	if got := sdktest.Run(t, SumOfNumbers, []string{"1", "two", "3", "four", "5"}); got != 9 {
		t.Errorf("the sum is %d, want 9", got)
	}
}

func TestSumOfNumbers_FailsBeyondThat(t *testing.T) {
	_, err := sdktest.Try(t, SumOfNumbers, []string{"one", "two", "three", "4"})
	var failed *sdk.JobError
	if !errors.As(err, &failed) || failed.Step != Parse.Name() {
		t.Errorf("three dead items of two tolerated ended with %v", err)
	}
}

func TestExplanation_ErrorsAreValues(t *testing.T) {
	got := sdktest.Run(t, Explanation, []string{"1", "two"})
	want := []string{"good: 1", `bad: strconv.Atoi: parsing "two": invalid syntax`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExplanation_OfNothing(t *testing.T) {
	if got := sdktest.Run(t, Explanation, nil); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}
