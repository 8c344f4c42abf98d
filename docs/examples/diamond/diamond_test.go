package main

import (
	"testing"

	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestDescribe(t *testing.T) {
	got := sdktest.Run(t, Describe, 5, sdktest.Workers(2))
	if want := "5 numbers from 2 to 10"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
