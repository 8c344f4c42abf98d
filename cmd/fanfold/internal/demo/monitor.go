package demo

import (
	"context"
	"sync"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// sampleEvery is how often each node is asked where it stands: the resolution of the failover times.
const sampleEvery = 10 * time.Millisecond

// monitor asks every node for its own view, again and again, and remembers when there was progress.
type monitor struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	accepted uint64 // results, as the furthest node has counted them
	term     uint64
	leader   string
	progress time.Time // when the number of accepted results last grew
	open     *outage   // being measured
}

// outage is the time around the loss of a leader.
type outage struct {
	killed     string
	killedAt   time.Time
	term       uint64    // of the killed leader
	lastBefore time.Time // last progress before the new leader
	leader     string    // the new one
	leaderAt   time.Time
	progressAt time.Time // first accepted result under the new leader
}

// watch starts a goroutine per node; stop ends them.
func watch(ctx context.Context, cluster *procs.Cluster) *monitor {
	ctx, cancel := context.WithCancel(ctx)
	m := &monitor{cancel: cancel}
	for _, node := range cluster.Nodes {
		m.done.Go(func() { m.poll(ctx, cluster, node.ID, node.API) })
	}
	return m
}

func (m *monitor) stop() {
	m.cancel()
	m.done.Wait()
}

func (m *monitor) poll(ctx context.Context, cluster *procs.Cluster, id, address string) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		asked, cancel := context.WithTimeout(ctx, time.Second)
		status, err := cluster.StatusAt(asked, address)
		cancel()
		if err == nil {
			m.take(id, status, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// take notes what one node said.
func (m *monitor) take(id string, status *apiv1.ClusterStatusResponse, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if status.GetLeaderId() == id && status.GetTerm() > m.term {
		m.term, m.leader = status.GetTerm(), id
		if o := m.open; o != nil && o.leaderAt.IsZero() && m.term > o.term {
			o.leader, o.leaderAt, o.lastBefore = id, now, m.progress
		}
	}
	if n := status.GetCounters().GetCompletions(); n > m.accepted {
		m.accepted, m.progress = n, now
		if o := m.open; o != nil && !o.leaderAt.IsZero() && o.progressAt.IsZero() {
			o.progressAt = now
		}
	}
}

// leaderKilled begins the measurement of an outage.
func (m *monitor) leaderKilled(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = &outage{killed: id, killedAt: time.Now(), term: m.term}
}

// measured ends the measurement and returns it; nil when there was none.
func (m *monitor) measured() *outage {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open
	m.open = nil
	return o
}
