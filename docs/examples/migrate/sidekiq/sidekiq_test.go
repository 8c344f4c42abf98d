package sidekiq

import (
	"context"
	"errors"
	"fmt"
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
		go func() { worked <- work(ctx, c.Client()) }()
		body(t.Context(), c.Client())
		stop()
		same(t, <-worked, nil)
	})
}

func TestPerform(t *testing.T) {
	world(t, func(ctx context.Context, client *sdk.Client) {
		at := time.Now().Add(time.Hour)
		now, err := performAsync(ctx, client)
		same(t, err, nil)
		later, err := performAt(ctx, client, at)
		same(t, err, nil)
		many, err := performBulk(ctx, client, []Signup{{1, "a@example.org"}, {2, "b@example.org"}})
		same(t, err, nil)
		for i, job := range append(many, now) {
			to := []string{"a@example.org", "b@example.org", "ann@example.org"}[i]
			got, err := job.Await(ctx)
			same(t, err, nil)
			same(t, got, fmt.Sprintf("mail %s/mail.welcome/0 to %s", job.ID(), to))
		}
		if time.Now().After(at) {
			t.Error("the others waited for the one of later")
		}
		_, err = later.Await(ctx)
		same(t, err, nil)
		if d := time.Since(at); d < 0 || d > 100*time.Millisecond {
			t.Errorf("what was due in an hour ran %v after it", d)
		}
	})
}

func TestReport_RetriesInItsOwnTime(t *testing.T) {
	begin := time.Time{}
	var tried []time.Duration
	defer func(before func(int) (string, error)) { render = before }(render)
	render = func(month int) (string, error) {
		if begin.IsZero() {
			begin = time.Now()
		}
		tried = append(tried, time.Since(begin).Round(time.Second))
		return "", errors.New("no data yet")
	}
	world(t, func(ctx context.Context, client *sdk.Client) {
		job, err := Report.Submit(ctx, client, 3)
		same(t, err, nil)
		_, err = job.Await(ctx)
		if !errors.Is(err, sdk.ErrJobFailed) {
			t.Errorf("got %v", err)
		}
	})
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	same(t, tried, []time.Duration{0, seconds(10), seconds(30), seconds(60), seconds(100), seconds(150)})
}

func TestWelcome_ABouncingAddressIsDeadAtOnce(t *testing.T) {
	defer func(before func(string, string) (string, error)) { send = before }(send)
	sent := 0
	send = func(string, string) (string, error) { sent++; return "", errBounced }
	_, err := sdktest.Try(t, Welcome, Signup{User: 1, Email: "x"})
	if !errors.Is(err, sdk.ErrJobFailed) || sent != 1 {
		t.Errorf("%d tries, %v", sent, err)
	}
}
