package sidekiq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

func TestLimits_TenASecondForEachCustomer(t *testing.T) {
	defer func(before func(string, int) (string, error)) { charge = before }(charge)
	const annPays = 100
	var mu sync.Mutex
	var began []time.Time
	charge = func(key string, cents int) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if cents != annPays {
			return "charged", nil
		}
		if began = append(began, time.Now()); len(began) == 5 { // ann's fifth, whoever else comes between
			return "", errSlowDown
		}
		return "charged", nil
	}
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx, client := t.Context(), c.Client()
		same(t, limits(ctx, client), nil)
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 4}}, Charge)
		begin := time.Now()
		var ann []*sdk.Job[string]
		for range 25 {
			job, err := chargeFor(ctx, client, "ann", annPays)
			same(t, err, nil)
			ann = append(ann, job)
		}
		bob, err := chargeFor(ctx, client, "bob", 50)
		same(t, err, nil)
		_, err = bob.Await(ctx)
		same(t, err, nil)
		if d := time.Since(begin); d > time.Second {
			t.Errorf("bob waited for %v behind ann", d)
		}
		for _, job := range ann {
			got, err := job.Await(ctx)
			same(t, err, nil)
			same(t, got, "charged")
			status, err := job.Status(ctx)
			same(t, err, nil)
			same(t, status.Steps[0].Attempts, uint32(1)) // the one that was told to slow down paid nothing for it
		}
		if d := time.Since(begin); d < 30*time.Second {
			t.Errorf("after a 429 for 30 s all were done in %v", d)
		}
	})
}

func TestReindex_GoesOnWhereItWasInterrupted(t *testing.T) {
	defer func(before func(int) error) { index = before }(index)
	var indexed []int
	failed := false
	index = func(user int) error {
		if user == 30 && !failed {
			failed = true
			return errors.New("the search engine is away")
		}
		indexed = append(indexed, user)
		return nil
	}
	same(t, sdktest.Run(t, Reindex, []int{10, 20, 30, 40}), 4)
	same(t, indexed, []int{10, 20, 30, 40})
}

func TestPeriodic_AndIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx, client := t.Context(), c.Client()
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 1, "low": 1}}, Welcome, Report)
		same(t, periodic(ctx, client), nil)
		same(t, periodic(ctx, client), nil) // the next deploy
		begin := time.Now()
		job, err := performIn(ctx, client, time.Hour)
		same(t, err, nil)
		_, err = job.Await(ctx)
		same(t, err, nil)
		same(t, time.Since(begin).Round(time.Second), time.Hour)
		status, err := client.GetSchedule(ctx, "nightly-report")
		same(t, err, nil)
		same(t, time.UnixMilli(status.NextTickMs).UTC().Format(time.RFC3339), "2000-01-01T09:00:00Z") // 04:00 in New York
	})
}

func TestImportFile_CallsBack(t *testing.T) {
	defer func(i func(int) error, n func(string) string) { insert, note = i, n }(insert, note)
	var mu sync.Mutex
	var notes []string
	bad := true
	insert = func(row int) error {
		mu.Lock()
		defer mu.Unlock()
		if row == 3 && bad {
			return errors.New("not a row")
		}
		return nil
	}
	note = func(text string) string {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, text)
		return text
	}
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx := t.Context()
		c.StartWorker(sdk.WorkerConfig{}, ImportRow, ImportDone)
		batch, err := importFile(ctx, c.Client(), "users.csv", []int{1, 2, 3, 4})
		same(t, err, nil)
		status, err := batch.Await(ctx)
		same(t, err, nil)
		same(t, status.State, "COMPLETE")
		time.Sleep(time.Minute)
		mu.Lock()
		slices.Sort(notes)
		same(t, notes, []string{"complete: users.csv, 3 of 4 rows", "death: users.csv, 3 of 4 rows"})
		notes, bad = nil, false // somebody has repaired the row
		mu.Unlock()
		for job, err := range batch.Jobs(ctx, sdk.Failure) {
			same(t, err, nil)
			same(t, c.Client().Retry(ctx, job.Id), nil)
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		same(t, notes, []string{"success: users.csv, 4 of 4 rows"})
	})
}

func TestUnique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx, client := t.Context(), c.Client()
		for name, submit := range map[string]func(context.Context, *sdk.Client, int) (*sdk.Job[string], error){
			"until it has ended": performUnique, "until it starts": performUntilStart,
		} {
			for month := range 2 {
				first, err := submit(ctx, client, month)
				same(t, err, nil)
				second, err := submit(ctx, client, month)
				same(t, err, nil)
				if first.Existing() || !second.Existing() || second.ID() != first.ID() {
					t.Errorf("%s: the second is %s, existing %v; the first %s", name, second.ID(), second.Existing(), first.ID())
				}
				same(t, first.Cancel(ctx, ""), nil)
			}
		}
	})
}

func TestDead_AreRetriedAtARate(t *testing.T) {
	defer func(before func(string, string) (string, error)) { send = before }(send)
	var down atomic.Bool
	down.Store(true)
	send = func(to, _ string) (string, error) {
		if down.Load() {
			return "", errBounced
		}
		return "sent", nil
	}
	world(t, func(ctx context.Context, client *sdk.Client) {
		jobs, err := performBulk(ctx, client, make([]Signup, 35))
		same(t, err, nil)
		for _, job := range jobs {
			_, err := job.Await(ctx)
			same(t, errors.Is(err, sdk.ErrJobFailed), true)
		}
		lines, err := deadSet(ctx, client)
		same(t, err, nil)
		same(t, lines, []string{"35 times the address bounces"})
		down.Store(false)
		begin := time.Now()
		_, err = retryAll(ctx, client)
		same(t, err, nil)
		for _, job := range jobs {
			for { // until it has been taken up, it is as dead as before
				got, err := job.Await(ctx)
				if err == nil {
					same(t, got, "sent")
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		if d := time.Since(begin); d < 3*time.Second || d > 5*time.Second {
			t.Errorf("35 jobs at ten a second took %v", d)
		}
		lines, err = deadSet(ctx, client)
		same(t, err, nil)
		same(t, len(lines), 0)
	})
}
