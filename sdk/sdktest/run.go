package sdktest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Run runs a task or workflow on the real engine, under virtual time, and returns its result. A job that
// fails fails the test; Try returns the error instead. It opens a bubble of testing/synctest of its own,
// so it must not be called inside of one; there, use NewCluster. Not for parallel tests.
func Run[In, Out any](t *testing.T, unit sdk.Submittable[In, Out], in In, opts ...Option) Out {
	t.Helper()
	out, err := Try(t, unit, in, opts...)
	if err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	return out
}

// Try is Run that returns a failed job's error.
func Try[In, Out any](t *testing.T, unit sdk.Submittable[In, Out], in In, opts ...Option) (out Out, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := NewCluster(t, 1)
		var s script
		for _, o := range opts {
			o(&s)
		}
		workers := s.start(c, unit)
		defer stopAll(workers)
		var job *sdk.Job[Out]
		if job, err = unit.Submit(t.Context(), c.Client(), in); err != nil {
			return
		}
		out, err = job.Await(t.Context())
		s.late.Wait()
		synctest.Wait() // what came late is refused now
	})
	return out, err
}

func stopAll(workers []*Worker) {
	for _, w := range workers {
		_ = w.Stop()
	}
}

// Option changes how Run goes.
type Option func(*script)

// script is what the options of a Run ask for.
type script struct {
	workers int // 0: as many as are needed
	funcs   map[string]any
	bound   map[string]func(*stage) sdk.Registrable
	twins   bool           // some worker will lose its lease: there must be another
	late    sync.WaitGroup // functions whose workers have lost their leases
}

// stage is where a worker's functions run.
type stage struct {
	script  *script
	cluster *Cluster
	host    string
}

// Workers runs n workers of 8 slots. Default 1, or 2 with LoseLease.
func Workers(n int) Option { return func(s *script) { s.workers = n } }

// Fake runs fn in place of the task's function.
func Fake[In, Out any](task *sdk.Task[In, Out], fn sdk.Func[In, Out]) Option {
	return change(task, func(*stage, sdk.Func[In, Out]) sdk.Func[In, Out] { return fn })
}

// FailFirst makes the first n attempts of the task, over all its items, fail with err.
func FailFirst[In, Out any](task *sdk.Task[In, Out], n int, err error) Option {
	var mu sync.Mutex
	return change(task, func(_ *stage, next sdk.Func[In, Out]) sdk.Func[In, Out] {
		return func(ctx context.Context, in In) (out Out, _ error) {
			mu.Lock()
			n--
			fail := n >= 0
			mu.Unlock()
			if fail {
				return out, err
			}
			return next(ctx, in)
		}
	})
}

// LoseLease cuts the worker that runs the nth attempt of the task (from 1, over all its items) off from
// the cluster, until another worker has had the time to take the task over. The function's result then
// comes under a lease that is over, and must be refused. Whatever else the worker runs is lost with it.
func LoseLease[In, Out any](task *sdk.Task[In, Out], nth int) Option {
	var mu sync.Mutex
	hook := change(task, func(at *stage, next sdk.Func[In, Out]) sdk.Func[In, Out] {
		return func(ctx context.Context, in In) (Out, error) {
			mu.Lock()
			nth--
			lose := nth == 0
			mu.Unlock()
			if lose {
				at.script.late.Add(1)
				at.cluster.isolate(at.host)
				defer at.script.late.Done()
				defer at.cluster.rejoin(at.host)
				defer time.Sleep(4 * leaseTTL)
			}
			return next(ctx, in)
		}
	})
	return func(s *script) {
		s.twins = true
		hook(s)
	}
}

// leaseTTL of the workers of a Run: the SDK's default.
const leaseTTL = 15 * time.Second

// change wraps a task's function, or what an earlier option has made of it.
func change[In, Out any](task *sdk.Task[In, Out], wrap func(*stage, sdk.Func[In, Out]) sdk.Func[In, Out]) Option {
	return func(s *script) {
		if s.funcs == nil {
			s.funcs, s.bound = map[string]any{}, map[string]func(*stage) sdk.Registrable{}
		}
		before, _ := s.funcs[task.Name()].(func(*stage) sdk.Func[In, Out])
		if before == nil {
			before = func(*stage) sdk.Func[In, Out] { return original(task) }
		}
		after := func(at *stage) sdk.Func[In, Out] { return wrap(at, before(at)) }
		s.funcs[task.Name()] = after
		s.bound[task.Name()] = func(at *stage) sdk.Registrable { return task.Bind(after(at)) }
	}
}

func original[In, Out any](task *sdk.Task[In, Out]) sdk.Func[In, Out] {
	if fn := task.Func(); fn != nil {
		return fn
	}
	return func(context.Context, In) (out Out, err error) {
		return out, sdk.Permanent(fmt.Errorf("sdktest: task %s is declared without a function: give it one by Fake", task.Name()))
	}
}

// start runs the script's workers.
func (s *script) start(c *Cluster, unit sdk.Registrable) (workers []*Worker) {
	n := s.workers
	if n == 0 {
		n = 1
	}
	if s.twins {
		n = max(n, 2)
	}
	for range n {
		at := &stage{script: s, cluster: c, host: c.newHost("worker")}
		units := []sdk.Registrable{unit}
		for _, bind := range s.bound {
			units = append(units, bind(at))
		}
		workers = append(workers, c.startWorker(at.host, sdk.WorkerConfig{}, units))
	}
	return workers
}
