package hangfire

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// world is a cluster with the worker of the page.
func world(t *testing.T, body func(ctx context.Context, client *sdk.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx, stop := context.WithCancel(t.Context())
		worked := make(chan error)
		go func() { worked <- serve(ctx, c.Client()) }()
		body(t.Context(), c.Client())
		stop()
		same(t, <-worked, nil)
	})
}

func TestContinuations(t *testing.T) {
	same(t, sdktest.Run(t, Bill, Invoice{7}), "sent invoice-7.pdf")
	same(t, sdktest.Run(t, BillAll, []Invoice{{1}, {2}, {3}}), "3 invoices")
}

func TestEnqueue_ThenRequeueWhatFailed(t *testing.T) {
	down := true
	defer func(before func(string, string) error) { deliver = before }(deliver)
	deliver = func(string, string) error {
		if down {
			return sdk.Permanent(errors.New("no such mailbox"))
		}
		return nil
	}
	world(t, func(ctx context.Context, client *sdk.Client) {
		id, err := enqueue(ctx, client)
		same(t, err, nil)
		_, err = Bill.Attach(client, id).Await(ctx)
		if !errors.Is(err, sdk.ErrJobFailed) {
			t.Errorf("got %v", err)
		}
		down = false
		same(t, requeue(ctx, client, id), nil)
		got, err := Bill.Attach(client, id).Await(ctx)
		same(t, got, "sent invoice-7.pdf")
		same(t, err, nil)
	})
}

func TestForget_WhatIsDueInAWeek(t *testing.T) {
	world(t, func(ctx context.Context, client *sdk.Client) {
		job, err := inAWeek(ctx, client)
		same(t, err, nil)
		time.Sleep(time.Minute)
		status, err := job.Status(ctx)
		same(t, err, nil)
		same(t, status.Steps[0].State, "SCHEDULED")
		same(t, status.Steps[0].DueMs > time.Now().Add(6*24*time.Hour).UnixMilli(), true)
		same(t, forget(ctx, client, job.ID()), nil)
		_, err = job.Await(ctx)
		if !errors.Is(err, sdk.ErrJobCanceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOneAtATime(t *testing.T) {
	defer func(before func(string, string) error) { deliver = before }(deliver)
	var running atomic.Int32
	deliver = func(string, string) error {
		if running.Add(1) > 1 {
			return sdk.Permanent(errors.New("two at a time"))
		}
		defer running.Add(-1)
		time.Sleep(time.Second)
		return nil
	}
	world(t, func(ctx context.Context, client *sdk.Client) {
		same(t, oneAtATime(ctx, client), nil)
		begin := time.Now()
		job, err := BillAll.Submit(ctx, client, []Invoice{{1}, {2}, {3}})
		same(t, err, nil)
		got, err := job.Await(ctx)
		same(t, got, "3 invoices")
		same(t, err, nil)
		same(t, time.Since(begin).Round(100*time.Millisecond), 3*time.Second)
	})
}

func TestRecurring_TriggeredAndRemoved(t *testing.T) {
	world(t, func(ctx context.Context, client *sdk.Client) {
		same(t, recurring(ctx, client), nil)
		id, err := trigger(ctx, client)
		same(t, err, nil)
		got, err := Bill.Attach(client, id).Await(ctx)
		same(t, got, "sent invoice-7.pdf")
		same(t, err, nil)
		status, err := client.GetSchedule(ctx, "daily-bill")
		same(t, err, nil)
		same(t, time.UnixMilli(status.NextTickMs).UTC().Format(time.RFC3339), "2000-01-01T04:00:00Z")
		same(t, remove(ctx, client), nil)
		_, err = client.GetSchedule(ctx, "daily-bill")
		same(t, errors.Is(err, sdk.ErrNotFound), true)
	})
}
