package sdktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/sdk"
)

// span is an attempt as the log has it, in unix ms.
type span struct{ began, ended int64 }

// TestCluster_LimitsHoldOverFailovers is law 10 on a real cluster: leaders die at random while a rate, a window
// per partition and a concurrency limit bound one task. The times are those of the log, read from the state.
func TestCluster_LimitsHoldOverFailovers(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { limitsHold(t, seed) }) })
	}
}

func limitsHold(t *testing.T, seed uint64) {
	c, r := NewCluster(t, 3), rand.New(rand.NewPCG(seed, 0))
	client, ctx := c.Client(), t.Context()
	task := sdk.NewTask("limited", func(ctx context.Context, ms int) (int, error) {
		time.Sleep(time.Duration(ms) * time.Millisecond)
		return ms, nil
	}, sdk.Queue("narrow"))
	rate := sdk.Limit{Scope: sdk.LimitQueue, Name: "narrow", Kind: sdk.LimitRate, N: 20, Period: time.Second, Burst: 3}
	window := sdk.Limit{Scope: sdk.LimitTask, Name: "limited", PerPartition: true, Kind: sdk.LimitWindow, N: 5, Period: time.Second}
	held := sdk.Limit{Scope: sdk.LimitQueue, Name: "narrow", Kind: sdk.LimitConcurrency, N: 4}
	for _, l := range []sdk.Limit{rate, window, held} {
		if err := client.SetLimit(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"narrow": 16}}, task)
	}
	parts := []string{"a", "b", "c"}
	jobs := make(map[string][]*sdk.Job[int])
	for range 40 {
		for _, p := range parts {
			j, err := task.Submit(ctx, client, 10+r.IntN(200), sdk.Partition(p))
			if err != nil {
				t.Fatal(err)
			}
			jobs[p] = append(jobs[p], j)
		}
	}
	for range 4 {
		time.Sleep(time.Duration(200+r.IntN(1500)) * time.Millisecond)
		id := c.KillLeader()
		c.Leader()
		if err := c.Restart(id); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range parts {
		for _, j := range jobs[p] {
			if _, err := j.Await(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := c.node(c.Leader()).current().Machine().View()
	defer v.Close()
	var all []span
	for _, p := range parts {
		var own []span
		for _, j := range jobs[p] {
			own = append(own, spans(t, v, j.ID())...)
		}
		all = append(all, own...)
		if n := mostWithin(own, window.Period); n > window.N {
			t.Errorf("%d attempts of partition %s in one window, the limit is %d", n, p, window.N)
		}
	}
	for _, d := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 3 * time.Second} {
		if n, most := mostWithin(all, d), rate.Burst+int(int64(rate.N)*int64(d)/int64(rate.Period)); n > most {
			t.Errorf("%d attempts in %s, the rate allows %d", n, d, most)
		}
	}
	for _, s := range all {
		n := 0
		for _, o := range all {
			if o.began <= s.began && s.began < o.ended {
				n++
			}
		}
		if n > held.N {
			t.Errorf("%d attempts ran at %d, the limit is %d", n, s.began, held.N)
		}
	}
	t.Logf("%d attempts of 120 tasks", len(all))
}

func spans(t *testing.T, v *fsm.View, job string) (all []span) {
	id, err := fsm.ParseJobID(job)
	if err != nil {
		t.Fatal(err)
	}
	attempts, _, err := v.Attempts(id, fsm.AttemptFilter{}, fsm.AttemptToken{}, 100)
	if err != nil || len(attempts) == 0 {
		t.Fatalf("job %s has %d attempts, %v", job, len(attempts), err)
	}
	for _, a := range attempts {
		all = append(all, span{a.BeganMS, a.EndedMS})
	}
	return all
}

// mostWithin is the most attempts that began within any window of a length.
func mostWithin(all []span, d time.Duration) (most int) {
	slices.SortFunc(all, func(x, y span) int { return int(x.began - y.began) })
	for i := range all {
		n := 0
		for _, o := range all[i:] {
			if o.began < all[i].began+d.Milliseconds() {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
