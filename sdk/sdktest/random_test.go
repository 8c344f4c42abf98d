package sdktest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

var (
	seed = flag.Uint64("seed", 0, "seed of TestCluster_RandomFaults; 0: a new one each time")
	long = flag.Int("rounds", 3, "clusters of TestCluster_RandomFaults")
)

// TestCluster_RandomFaults runs jobs of all kinds while nodes and workers die, come back and lose each
// other, and then asks: did every job end with its answer, was no result accepted twice, are the replicas
// equal?
func TestCluster_RandomFaults(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	n := *long
	if testing.Short() {
		n = 1
	}
	for i := range n {
		s := first + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newChaos(t, s).run() })
		})
	}
}

// chaos is one cluster under faults.
type chaos struct {
	t       *testing.T
	c       *sdktest.Cluster
	rng     *rand.Rand
	workers []*sdktest.Worker
	dead    []string // nodes
	units   []sdk.Registrable
	runs    atomic.Int64
	mu      sync.Mutex        // guards what follows
	fences  map[string]uint64 // of the task's last start, by its key
	work    *sdk.Workflow[int, int]
	text    *sdk.Workflow[string, int]
}

func newChaos(t *testing.T, seed uint64) *chaos {
	x := &chaos{t: t, c: sdktest.NewCluster(t, 3), rng: rand.New(rand.NewPCG(seed, 1)), fences: map[string]uint64{}}
	dice := rand.New(rand.NewPCG(seed, 2))
	var mu sync.Mutex
	chance := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(n)
	}
	patient := sdk.Retry(sdk.RetryPolicy{MaxAttempts: 1000, CrashLimit: 1000, First: 100 * time.Millisecond, Cap: 5 * time.Second})
	items := sdk.NewTask("items", func(_ context.Context, n int) ([]int, error) { return count(n), nil }, patient)
	shaky := sdk.NewTask("shaky", func(ctx context.Context, n int) (int, error) {
		x.runs.Add(1)
		x.checkFence(ctx)
		select {
		case <-time.After(time.Duration(chance(2000)) * time.Millisecond):
		case <-ctx.Done():
			if chance(2) == 0 { // some do not heed their context
				return 0, context.Cause(ctx)
			}
		}
		switch chance(20) {
		case 0:
			return 0, errors.New("bad luck")
		case 1:
			panic("worse luck")
		case 2:
			return 0, sdk.Snooze(time.Second)
		}
		return n * n, nil
	}, patient, sdk.Timeout(time.Minute))
	total := sdk.NewTask("total", func(_ context.Context, ns []int) (sum int, _ error) {
		for _, n := range ns {
			sum += n
		}
		return sum, nil
	}, patient)
	grow := sdk.NewTask("grow", func(_ context.Context, s string) (string, error) { return strings.Repeat(s, 2), nil }, patient)
	size := sdk.NewTask("size", func(_ context.Context, s string) (int, error) { return len(s), nil }, patient)
	x.work = sdk.NewWorkflow("work", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Fold(sdk.Each(sdk.Then(n, items), shaky, sdk.MaxParallel(7)), total, sdk.FanIn(4))
	})
	x.text = sdk.NewWorkflow("text", func(s sdk.Ref[string]) sdk.Ref[int] { // over the inline limit
		return sdk.Then(sdk.Then(sdk.Then(s, grow), grow), size)
	})
	x.units = []sdk.Registrable{x.work, x.text}
	return x
}

func (x *chaos) run() {
	for range 3 {
		x.addWorker()
	}
	var jobs sync.WaitGroup
	for i := range 12 {
		n := 10 + x.rng.IntN(40)
		wait := time.Duration(x.rng.IntN(60)) * time.Second
		jobs.Go(func() {
			time.Sleep(wait)
			switch i % 4 {
			case 0:
				x.check(x.submitText(100<<10 + n))
			case 1:
				x.check(x.submitAndCancel(n, time.Duration(n)*time.Second/5))
			default:
				x.check(x.submitWork(n))
			}
		})
	}
	for range 25 {
		time.Sleep(time.Duration(x.rng.IntN(6000)) * time.Millisecond)
		x.fault()
	}
	x.repair()
	jobs.Wait()
	time.Sleep(time.Minute)
	sameHashes(x.t, x.c, 3)
	x.checkCounters()
}

func (x *chaos) addWorker() {
	x.workers = append(x.workers, x.c.StartWorker(sdk.WorkerConfig{LeaseTTL: 5 * time.Second, DrainTimeout: 4 * time.Second}, x.units...))
}

// fault does one thing to the cluster. At most one node is dead at a time.
func (x *chaos) fault() {
	nodes := x.c.Nodes()
	w := x.workers[x.rng.IntN(len(x.workers))]
	switch x.rng.IntN(9) {
	case 0, 1:
		if len(x.dead) == 0 {
			if id := x.c.KillLeader(); id != "" { // "": two partitions have left no majority
				x.dead = append(x.dead, id)
			}
		}
	case 2:
		if id := nodes[x.rng.IntN(3)]; len(x.dead) == 0 {
			x.c.Kill(id)
			x.dead = append(x.dead, id)
		}
	case 3:
		x.restart()
	case 4:
		x.c.Partition(nodes[x.rng.IntN(3)])
	case 5:
		x.c.Heal()
	case 6:
		w.Isolate()
	case 7:
		w.Rejoin()
	case 8:
		x.addWorker()
		go w.Stop()
	}
}

func (x *chaos) restart() {
	for _, id := range x.dead {
		if err := x.c.Restart(id); err != nil {
			x.t.Errorf("restart %s: %v", id, err)
		}
	}
	x.dead = nil
}

func (x *chaos) repair() {
	x.c.Heal()
	x.restart()
	x.addWorker()
}

// checkFence: no attempt begins after one with a later lease has begun, for a worker knows when its leases may
// be over, and begins nothing then.
func (x *chaos) checkFence(ctx context.Context) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key, fence := sdk.Key(ctx), sdk.Fence(ctx)
	if last := x.fences[key]; fence <= last {
		x.t.Errorf("%s began under fence %d after fence %d", key, fence, last)
	}
	x.fences[key] = fence
}

func (x *chaos) submitWork(n int) (got, want int, err error) {
	want = n * (n + 1) * (2*n + 1) / 6
	job, err := submitForSure(x, x.work, n)
	if err != nil {
		return 0, want, err
	}
	got, err = job.Await(x.t.Context())
	return got, want, err
}

// submitAndCancel cancels a job in the middle, and has it run again from there.
func (x *chaos) submitAndCancel(n int, after time.Duration) (got, want int, err error) {
	want = n * (n + 1) * (2*n + 1) / 6
	job, err := submitForSure(x, x.work, n)
	if err != nil {
		return 0, want, err
	}
	time.Sleep(after)
	cancelled := x.forSure(func(ctx context.Context) error { return job.Cancel(ctx, "chaos") })
	if cancelled != nil && !errors.Is(cancelled, sdk.ErrConflict) { // it had ended
		return 0, want, cancelled
	}
	if cancelled == nil {
		err := x.forSure(func(ctx context.Context) error {
			status, err := job.Status(ctx)
			if err == nil && status.State != string(sdk.Canceled) {
				err = fmt.Errorf("after its cancel a job was %s", status.State)
			}
			return err
		})
		if err != nil {
			return 0, want, err
		}
	}
	got, err = job.Await(x.t.Context())
	if !errors.Is(err, sdk.ErrJobCanceled) {
		if cancelled == nil {
			x.t.Errorf("a job that was canceled ended with %d, %v", got, err)
		}
		return got, want, err
	}
	if err := x.forSure(job.Retry); err != nil {
		return 0, want, err
	}
	got, err = job.Await(x.t.Context())
	return got, want, err
}

// forSure repeats a call whose deadline came first.
func (x *chaos) forSure(call func(context.Context) error) (err error) {
	for range 20 {
		if err = call(x.t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return err
}

func (x *chaos) submitText(n int) (got, want int, err error) {
	job, err := submitForSure(x, x.text, strings.Repeat("x", n))
	if err != nil {
		return 0, 4 * n, err
	}
	got, err = job.Await(x.t.Context())
	return got, 4 * n, err
}

// submitForSure submits again what timed out, under the same id.
func submitForSure[In, Out any](x *chaos, w *sdk.Workflow[In, Out], in In) (job *sdk.Job[Out], err error) {
	id := sdk.NewJobID()
	err = x.forSure(func(ctx context.Context) error {
		job, err = w.Submit(ctx, x.c.Client(), in, sdk.JobID(id))
		return err
	})
	if err != nil {
		return nil, err
	}
	return job, x.forSure(func(ctx context.Context) error { // it was acknowledged: nobody says that it is unknown
		_, err := job.Status(ctx)
		return err
	})
}

func (x *chaos) check(got, want int, err error) {
	if err != nil || got != want {
		x.t.Errorf("got %d, want %d, %v", got, want, err)
	}
}

// checkCounters compares the cluster's counts with each other: every attempt has ended in exactly one way,
// but for those of canceled jobs, whose ends nobody counts.
func (x *chaos) checkCounters() {
	n, err := x.c.Counters(x.t.Context())
	if err != nil {
		x.t.Error(err)
		return
	}
	ends := n.Completions + n.Failures + n.Crashes + n.Releases + n.Snoozes
	if n.Grants < ends || n.Grants > ends && n.JobsCanceled == 0 || n.JobsSubmitted != 12 || n.JobsSucceeded != 12 {
		x.t.Errorf("%d attempts ended %d times; counters %v", n.Grants, ends, n)
	}
	x.t.Logf("%d runs of the task; counters %v", x.runs.Load(), n)
}
