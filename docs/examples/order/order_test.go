package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestProcessOrder_IsPaidOnceAfterFailures(t *testing.T) {
	payments.failures, payments.charged = 2, make(map[string]int)
	got := sdktest.Run(t, ProcessOrder, Order{ID: 123, Cents: 4599})
	if diff := cmp.Diff(Receipt{Text: "order 123: 45.99 paid"}, got); diff != "" {
		t.Error(diff)
	}
	if len(payments.charged) != 1 {
		t.Errorf("the attempts used %d idempotency keys, want 1", len(payments.charged))
	}
}

// A worker that charges and is cut off before it can report has its order run again elsewhere: the key
// is the same, so the customer still pays once.
func TestProcessOrder_IsPaidOnceWhenTheWorkerIsLost(t *testing.T) {
	payments.failures, payments.charged = 0, make(map[string]int)
	sdktest.Run(t, ProcessOrder, Order{ID: 123, Cents: 4599}, sdktest.Workers(2), sdktest.LoseLease(ProcessOrder, 1))
	if len(payments.charged) != 1 {
		t.Errorf("the attempts used %d idempotency keys, want 1", len(payments.charged))
	}
}

func TestProcessOrder_AFreeOrderFailsAtOnce(t *testing.T) {
	_, err := sdktest.Try(t, ProcessOrder, Order{ID: 124})
	if !errors.Is(err, sdk.ErrJobFailed) || !strings.Contains(err.Error(), "order 124 costs nothing") {
		t.Errorf("the order ended with %v", err)
	}
}
