package main

import (
	"errors"
	"testing"

	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestWords(t *testing.T) {
	if got := sdktest.Run(t, words, "to be\nor not to be"); got != 6 {
		t.Errorf("%d words", got)
	}
}

func TestWords_AfterFailuresAndALostWorker(t *testing.T) {
	got := sdktest.Run(t, words, "to be\nor not to be\n\nthat is the question",
		sdktest.FailFirst(count, 2, errors.New("try again")), sdktest.LoseLease(sum, 1), sdktest.Workers(2))
	if got != 10 {
		t.Errorf("%d words", got)
	}
}
