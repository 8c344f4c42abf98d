package sdk_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// fencesTo are 1 to n.
func fencesTo(n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i + 1)
	}
	return all
}

// asked reads what the worker says until it asks for a prefetch.
func (s *leaderStream) asked() (prefetch []string) {
	s.t.Helper()
	for m := range s.in {
		s.answer(m)
		s.ack("", m.Reports...)
		for _, q := range m.Prefetch {
			prefetch = append(prefetch, fmt.Sprintf("%s %d", q.Queue, q.Slots))
		}
		if prefetch != nil {
			return prefetch
		}
	}
	s.t.Fatal("the stream ended and nothing was asked for")
	return nil
}

func TestPrefetch_ShortTasksAskForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 4}, Prefetch: 100}, tInc)
		s := l.next(t, false)
		s.assign("inc", "1", 0, fencesTo(16)...)
		if got := s.asked(); !slices.Equal(got, []string{"default 100"}) {
			t.Errorf("asked for %v", got)
		}
		synctest.Wait()
		s.kill()
		s = l.next(t, true) // the message may have been lost
		if got := s.asked(); !slices.Equal(got, []string{"default 100"}) {
			t.Errorf("after a new stream: asked for %v", got)
		}
		stop()
		go s.leave()
		<-done
	})
}

func TestPrefetch_LongTasksAndNoBacklogDoNot(t *testing.T) {
	for name, c := range map[string]struct {
		cfg     sdk.WorkerConfig
		took    time.Duration
		atATime int
	}{
		"long tasks":   {sdk.WorkerConfig{Queues: map[string]int{"default": 4}}, 6 * time.Millisecond, 4},
		"idle slots":   {sdk.WorkerConfig{Queues: map[string]int{"default": 4}}, 0, 3},
		"not wanted":   {sdk.WorkerConfig{Queues: map[string]int{"default": 4}, Prefetch: sdk.NoPrefetch}, 0, 4},
		"shared slots": {sdk.WorkerConfig{Queues: map[string]int{"default": 4}, Slots: 4}, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nap := sdk.NewTask("nap", func(context.Context, int) (int, error) { time.Sleep(c.took); return 1, nil })
				l, stop, done := startWorker(t, c.cfg, nap)
				s := l.next(t, false)
				for i := range 30 {
					fences := fencesTo(c.atATime)
					for k := range fences {
						fences[k] += uint64(i * c.atATime)
					}
					s.assign("nap", "1", 0, fences...)
					for n := 0; n < c.atATime; {
						m := <-s.in
						if len(m.Prefetch) > 0 {
							t.Fatalf("asked for %v", m.Prefetch)
						}
						s.answer(m)
						s.ack("", m.Reports...)
						n += len(m.Reports)
					}
				}
				stop()
				go s.leave()
				<-done
			})
		})
	}
}

func TestPrefetch_SlotsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, most atomic.Int64
		var mu sync.Mutex
		var order []int
		nap := sdk.NewTask("nap", func(ctx context.Context, _ int) (int, error) {
			most.Store(max(most.Load(), busy.Add(1)))
			mu.Lock()
			order = append(order, int(sdk.Info(ctx).Shard))
			mu.Unlock()
			time.Sleep(time.Millisecond)
			busy.Add(-1)
			return 1, nil
		})
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 2}}, nap)
		s := l.next(t, false)
		s.assign("nap", "1", 0, fencesTo(21)...)
		s.ack("", s.reports(21)...)
		if most.Load() != 2 {
			t.Errorf("%d tasks at once in 2 slots", most.Load())
		}
		slices.Sort(order[:2]) // these two begin together
		for i := 1; i < 21; i++ {
			if order[i] < order[i-1]-1 { // neighbours run side by side
				t.Errorf("tasks began in the order %v", order)
				break
			}
		}
		stop()
		go s.leave()
		<-done
	})
}

func TestPrefetch_WhatWaitsTooLongIsHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 2)
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 2}}, stuck(causes))
		s := l.next(t, false)
		began := time.Now()
		s.assign("stuck", "1", 0, 1, 2, 3, 4)
		got := s.reports(2)
		if waited := time.Since(began); waited != 50*time.Millisecond {
			t.Errorf("handed back after %v", waited)
		}
		if a, b := describe(got[0]), describe(got[1]); a != "3: released" || b != "4: released" {
			t.Errorf("reports %q, %q", a, b)
		}
		s.ack("", got...)
		if len(causes) > 0 {
			t.Error("a running task was cancelled")
		}
		stop()
		go s.leave()
		<-done
	})
}

func TestPrefetch_RevokedWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		gate := make(chan struct{})
		wait := sdk.NewTask("wait", func(context.Context, int) (int, error) { ran.Add(1); <-gate; return 1, nil })
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, wait)
		s := l.next(t, false)
		s.assign("wait", "1", 0, 1, 2, 3, 4)
		s.send(&apiv1.WorkResponse{Revokes: []*apiv1.Revoke{
			{Fence: &apiv1.Fence{Index: 2}, Cause: "LEASE_LOST"}, {Fence: &apiv1.Fence{Index: 3}, Cause: "JOB_CANCELED"}}})
		if got := describe(s.reports(1)[0]); got != "3: released" {
			t.Errorf("report %s", got)
		}
		close(gate)
		got := s.reports(2)
		if a, b := describe(got[0]), describe(got[1]); a != "1: 1" || b != "4: 1" || ran.Load() != 2 {
			t.Errorf("reports %q, %q of %d that ran", a, b, ran.Load())
		}
		s.ack("", got...)
		stop()
		go s.leave()
		<-done
	})
}

func TestPrefetch_DrainHandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		wait := sdk.NewTask("wait", func(context.Context, int) (int, error) { <-gate; return 1, nil })
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, wait)
		s := l.next(t, false)
		s.assign("wait", "1", 0, 1, 2)
		synctest.Wait()
		stop()
		if got := describe(s.reports(1)[0]); got != "2: released" {
			t.Errorf("report %s", got)
		}
		close(gate)
		if got := describe(s.reports(1)[0]); got != "1: 1" {
			t.Errorf("report %s", got)
		}
		s.ack("", &apiv1.Report{Fence: &apiv1.Fence{Index: 1}}, &apiv1.Report{Fence: &apiv1.Fence{Index: 2}})
		go s.leave()
		<-done
	})
}

// TestPrefetch_LeaseEnds: what waits when the lease is over never begins.
func TestPrefetch_LeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 4)
		var began atomic.Int64
		slow := sdk.NewTask("slow", func(ctx context.Context, _ int) (int, error) {
			began.Add(1)
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return 0, ctx.Err()
		})
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, slow)
		s := l.next(t, false)
		time.Sleep(15*time.Second - 20*time.Millisecond) // heartbeats are not answered: the lease ends 20 ms from now
		s.assign("slow", "1", 0, 1, 2, 3)
		if cause := <-causes; cause != sdk.ErrLeaseLost {
			t.Errorf("cause %v", cause)
		}
		synctest.Wait()
		if began.Load() != 1 {
			t.Errorf("%d tasks have begun", began.Load())
		}
		s.end <- nil
		s = l.next(t, true)
		if held := s.hello.Held; len(held) != 1 || held[0].Index != 1 {
			t.Errorf("holds %v", held)
		}
		s.ack("", s.reports(1)...)
		stop()
		go s.leave()
		<-done
	})
}

// TestPrefetch_ZombiesHoldNoSlots: for the leader the slots of a session that was lost are free, though the functions
// of its attempts run on. What it grants for them must not wait behind these.
func TestPrefetch_ZombiesHoldNoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		deaf := sdk.NewTask("deaf", func(context.Context, int) (int, error) { <-gate; return 1, nil })
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, deaf, tInc)
		s := l.next(t, false)
		s.assign("deaf", "1", 0, 1, 2)
		synctest.Wait()
		s.kill()
		s = l.next(t, false) // the session was lost
		for i := range 3 {
			s.assign("inc", "1", 0, uint64(10+i))
			r := s.reports(1)
			if got, want := describe(r[0]), fmt.Sprintf("%d: 2", 10+i); got != want {
				t.Errorf("report %s, want %s", got, want)
			}
			s.ack("", r...)
		}
		close(gate)
		stop()
		go s.leave()
		<-done
	})
}
