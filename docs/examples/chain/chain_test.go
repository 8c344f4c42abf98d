package main

import (
	"errors"
	"testing"

	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestLongestWord(t *testing.T) {
	got := sdktest.Run(t, LongestWord, "a chain of steps", sdktest.FailFirst(Longest, 1, errors.New("try again")))
	if got != "CHAIN!" {
		t.Errorf("got %q", got)
	}
}
