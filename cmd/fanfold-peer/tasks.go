package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Task is the harness's payload: 200 bytes of JSON.
type Task struct {
	ID    int    `json:"id"`
	Kind  string `json:"kind"`
	Group int    `json:"group"` // chain or round
	Step  int    `json:"step"`
	TS    int64  `json:"ts"` // when it was submitted, ns
	Pad   string `json:"pad,omitempty"`
}

// payload stamps a task and fills it up to 200 bytes of JSON.
func payload(t Task) Task {
	t.TS, t.Pad = time.Now().UnixNano(), ""
	empty, err := json.Marshal(t)
	if err != nil {
		panic(err) // a struct of numbers and strings always encodes
	}
	if missing := 200 - len(empty) - len(`,"pad":""`); missing > 0 {
		t.Pad = strings.Repeat("x", missing)
	}
	return t
}

// OK is a small result.
type OK struct {
	OK bool `json:"ok"`
}

// steps is how long the chains are.
const steps = 10

var (
	noop = sdk.Declare[Task, OK]("peer.noop")
	step = sdk.Declare[Task, Task]("peer.step")
	each = sdk.NewTask("peer.map", func(context.Context, Task) (int, error) { return 1, nil })
	fold = sdk.Declare[[]int, int]("peer.reduce")

	chain = sdk.NewWorkflow("peer.chain", func(t sdk.Ref[Task]) sdk.Ref[Task] {
		for range steps {
			t = sdk.Then(t, step)
		}
		return t
	})
	mapped = sdk.NewWorkflow("peer.mapreduce", func(items sdk.Ref[[]Task]) sdk.Ref[int] {
		return sdk.Fold(sdk.Each(items, each), fold, sdk.FanIn(1000))
	})
)

// seen is what the handlers remember.
type seen struct {
	mu      sync.Mutex // guards what follows
	latency []float64  // of noop, from submit to handler, ms
	at      [][]int64  // of chains: when a step ran, ns
	ended   chan int   // chains whose last step ran
}

func newSeen() *seen { return &seen{} }

func (s *seen) tasks() []sdk.Registrable {
	return []sdk.Registrable{
		noop.Bind(func(_ context.Context, t Task) (OK, error) {
			took := float64(time.Now().UnixNano()-t.TS) / 1e6
			s.mu.Lock()
			s.latency = append(s.latency, took)
			s.mu.Unlock()
			return OK{true}, nil
		}),
		step.Bind(func(_ context.Context, t Task) (Task, error) {
			now := time.Now().UnixNano()
			s.mu.Lock()
			s.at[t.Group][t.Step] = now
			s.mu.Unlock()
			if t.Step == steps-1 {
				s.ended <- t.Group
			}
			t.Step++
			return t, nil
		}),
		each,
		fold.Bind(func(_ context.Context, counts []int) (int, error) {
			sum := 0
			for _, n := range counts {
				sum += n
			}
			return sum, nil
		}),
	}
}

// takeLatency returns what noop has seen, and forgets it.
func (s *seen) takeLatency() []float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.latency
	s.latency = nil
	return all
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.latency)
}

// expect makes room for n chains.
func (s *seen) expect(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.ended = make([][]int64, n), make(chan int, n)
	for i := range s.at {
		s.at[i] = make([]int64, steps)
	}
}

// gaps are the times from one step of a chain to the next, ms.
func (s *seen) gaps() (all []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.at {
		for i := 1; i < len(at); i++ {
			if at[i] > 0 && at[i-1] > 0 {
				all = append(all, float64(at[i]-at[i-1])/1e6)
			}
		}
	}
	return all
}
