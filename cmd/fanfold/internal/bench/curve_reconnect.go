package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/sdk"
)

const (
	keyServed  = "workers_served"
	keyElected = "kill_to_election_s"
	keyFirst   = "election_to_first_start_s"
	keyAll     = "election_to_all_served_s"
	keyLost    = "sessions_lost"
	keyCrashes = "attempts_lost"

	failovers = 3
	// heldFor is how long a task of the fleet runs: shorter than an election, so that all slots are free then.
	heldFor = 500 * time.Millisecond
	// firstStartAim is within how long of its election a leader should have the first task started.
	firstStartAim = time.Second
	// servedPatience is how long a fleet may take to be served at all.
	servedPatience = time.Minute
)

// reconnectCurve is how fast a fleet works again when the leader has been killed.
var reconnectCurve = &curve{
	name: "reconnect", title: "Workers served again after the leader was killed",
	below: "A worker for each connection, one slot each, tasks of 0.5 s; the leader is killed (kill -9) three times. A worker is served when it starts a task that the new leader gave it.",
	axis:  plot.Axis{Label: "seconds since the new leader's election"},
	panels: []panel{
		{label: "workers served", keys: []string{keyServed}, names: []string{""}},
	},
	nodes: 3, to: 1000, bound: 4 * time.Minute,
	whole: func(ctx context.Context, m *machine, to float64, add func(Point)) error {
		return m.reconnects(ctx, int(to), add)
	},
	judges: func(points []Point) []Verdict {
		slowest := -1.0
		for _, p := range points {
			if first, ok := p.Values[keyFirst]; ok {
				slowest = max(slowest, first)
			}
		}
		if slowest < 0 {
			return nil
		}
		return []Verdict{{
			Aim: fmt.Sprintf("first start within %v of the election, the slowest of the failovers", firstStartAim), Value: slowest, Unit: "s",
			Held: slowest <= firstStartAim.Seconds(),
		}}
	},
}

// roll is when each worker started its first task since a moment.
type roll struct {
	mu    sync.Mutex
	since time.Time // zero: nothing is noted
	first map[int]time.Time
}

func (r *roll) begin(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.first = since, map[int]time.Time{}
}

func (r *roll) started(worker int) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.first[worker]; !ok && !r.since.IsZero() {
		r.first[worker] = now
	}
}

func (r *roll) served() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.first)
}

// spans are how long each took, in order.
func (r *roll) spans() (all []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.first {
		all = append(all, at.Sub(r.since))
	}
	slices.Sort(all)
	return all
}

func (m *machine) reconnects(ctx context.Context, workers int, add func(Point)) error {
	r := &roll{}
	m.Note("reconnect: submitting tasks and connecting %d workers", workers)
	// As many as the fleet can start until the bound, so that none ever waits for work.
	if err := m.fill(ctx, workers*int(time.Minute/heldFor), m.Payload); err != nil {
		return err
	}
	config := manyWorkers(workers, 1)
	config.tasksOf = func(i int) []sdk.Registrable { return []sdk.Registrable{held(r, i)} }
	f, err := m.fleet(ctx, config)
	if err != nil {
		return err
	}
	defer f.end()
	for round := range failovers {
		if err := sleep(ctx, 2*heldFor); err != nil {
			return err
		}
		series := fmt.Sprintf("failover %d", round+1)
		points, err := m.failover(ctx, f, r, workers, series)
		for _, p := range points {
			add(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// held is the echo task of one worker of the fleet, which takes its time.
func held(r *roll, worker int) sdk.Registrable {
	return sdk.NewTask("bench.echo", func(ctx context.Context, item Item) (Done, error) {
		r.started(worker)
		return Done{ID: item.ID}, sleep(ctx, heldFor)
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// failover kills the leader and waits until all workers are served by the next; then the killed one
// comes back.
func (m *machine) failover(ctx context.Context, f *fleet, r *roll, workers int, series string) ([]Point, error) {
	before, err := m.status(ctx)
	if err != nil {
		return nil, err
	}
	old := m.leader
	old.Process.Kill()
	killed := time.Now()
	leader, err := m.elected(ctx, old, before.GetTerm())
	if err != nil {
		return nil, err
	}
	elected := time.Now()
	r.begin(elected)
	m.leader = leader
	patience, cancel := context.WithTimeoutCause(ctx, servedPatience, fmt.Errorf("not all workers were served within %v", servedPatience))
	defer cancel()
	waited := m.until(patience, f, func() (bool, error) { return r.served() == workers, nil })
	spans := r.spans()
	values := Values{keyElected: elected.Sub(killed).Seconds(), keyServed: float64(len(spans))}
	if len(spans) > 0 {
		values[keyFirst] = spans[0].Seconds()
		values["election_to_half_served_s"] = quantile(spans, 0.5) / 1000
	}
	if waited == nil {
		values[keyAll] = spans[len(spans)-1].Seconds()
	}
	if after, err := m.status(ctx); err == nil {
		values[keyLost] = float64(after.GetCounters().GetSessionsLost() - before.GetCounters().GetSessionsLost())
		values[keyCrashes] = float64(after.GetCounters().GetCrashes() - before.GetCounters().GetCrashes())
	}
	points := steps(spans, series)
	last := &points[len(points)-1]
	maps.Copy(last.Values, values)
	if waited != nil {
		return points, waited
	}
	if err := m.cluster.Start(old); err != nil {
		return points, err
	}
	return points, m.caughtUp(ctx, old)
}

// steps are how many workers were served by when: about twenty points.
func steps(spans []time.Duration, series string) []Point {
	points := []Point{{Series: series, Step: true, Values: Values{keyServed: 0}}}
	apart := max(1, len(spans)/20)
	for i := range spans {
		if i == 0 || (i+1)%apart == 0 || i == len(spans)-1 {
			points = append(points, Point{X: spans[i].Seconds(), Series: series, Step: true, Values: Values{keyServed: float64(i + 1)}})
		}
	}
	points[len(points)-1].Step = false
	return points
}

// elected waits until another node leads.
func (m *machine) elected(ctx context.Context, old *procs.Node, term uint64) (*procs.Node, error) {
	for {
		for _, node := range m.cluster.Nodes {
			if node == old {
				continue
			}
			ask, cancel := context.WithTimeout(ctx, time.Second)
			s, err := m.cluster.StatusAt(ask, node.API)
			cancel()
			if err == nil && s.GetTerm() > term && s.GetLeaderId() == node.ID {
				return node, nil
			}
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return nil, err
		}
	}
}

// caughtUp waits until a node has applied what the leader has committed now.
func (m *machine) caughtUp(ctx context.Context, node *procs.Node) error {
	want, err := m.status(ctx)
	if err != nil {
		return err
	}
	for {
		if s, err := m.cluster.StatusAt(ctx, node.API); err == nil && s.GetAppliedIndex() >= want.GetCommitIndex() {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
