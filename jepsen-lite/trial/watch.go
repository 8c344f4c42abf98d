package trial

import (
	"context"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	sampleEvery = 100 * time.Millisecond
	probeEvery  = time.Second
	// statusPatience bounds a question to a node, which may stand still.
	statusPatience = time.Second
	// probePatience is how long a node may take to reach an index: one that is cut off is not waited for.
	probePatience = 3 * time.Second
)

// watcher asks the nodes what they know, past the network of the run, from a goroutine for each.
type watcher struct {
	t *trial

	mu      sync.Mutex
	samples []evidence.Sample
	probes  []evidence.Probe
	lag     time.Duration
	slow    time.Duration
}

// watch observes the run until ctx ends, and leaves what it saw in the evidence.
func (t *trial) watch(ctx context.Context) {
	w := &watcher{t: t}
	var all sync.WaitGroup
	for _, n := range t.site.Nodes {
		all.Go(func() { w.sample(ctx, n) })
	}
	all.Go(func() { w.measureLag(ctx) })
	if t.work.Hashes {
		all.Go(func() { w.probe(ctx) })
	}
	all.Wait()
	slices.SortStableFunc(w.samples, func(a, b evidence.Sample) int { return int(a.At - b.At) })
	t.found.Samples, t.found.Probes, t.found.Lag, t.found.Slow = w.samples, w.probes, w.lag, w.slow
}

// every calls do until ctx ends, with pauses between.
func every(ctx context.Context, pause time.Duration, do func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *watcher) sample(ctx context.Context, n *site.Node) {
	every(ctx, sampleEvery, func() {
		disk, began := n.Disk(), time.Now()
		ctx, cancel := context.WithTimeout(ctx, statusPatience)
		defer cancel()
		st, err := w.t.site.Status(ctx, n)
		if err != nil || n.Disk() != disk {
			return // it does not run, or is another node by now
		}
		s := evidence.Sample{
			At: w.t.history.Now(), Node: n.ID, Disk: disk, Leader: st.GetLeaderId(), Term: st.GetTerm(),
			Applied: st.GetAppliedIndex(), Flushed: st.GetFlushedIndex(),
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.samples, w.slow = append(w.samples, s), max(w.slow, time.Since(began))
	})
}

// measureLag notices when this process, which has little to do, is kept from running: then so are the nodes.
func (w *watcher) measureLag(ctx context.Context) {
	const step = 10 * time.Millisecond
	last := time.Now()
	every(ctx, step, func() {
		now := time.Now()
		w.mu.Lock()
		w.lag = max(w.lag, now.Sub(last)-step)
		w.mu.Unlock()
		last = now
	})
}

// probe has the state hashed at an index, and asks every node what it had there. A node that got over the
// index by a snapshot never had it.
func (w *watcher) probe(ctx context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	every(ctx, probeEvery, func() {
		call, cancel := context.WithTimeout(ctx, statusPatience)
		defer cancel()
		var index uint64
		err := w.t.client.Call(call, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
			answer, err := api.HashState(ctx, connect.NewRequest(&apiv1.HashStateRequest{}))
			if err == nil {
				index = answer.Msg.GetIndex()
			}
			return err
		})
		if err != nil {
			return
		}
		for _, n := range w.t.site.Nodes {
			asked.Go(func() { w.hashOf(ctx, n, index) })
		}
	})
}

func (w *watcher) hashOf(ctx context.Context, n *site.Node, index uint64) {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	api, err := w.t.site.API(n)
	if err != nil {
		return
	}
	answer, err := api.NodeHash(ctx, connect.NewRequest(&apiv1.NodeHashRequest{Index: index, WaitMs: int64(probePatience / time.Millisecond)}))
	if err != nil || answer.Msg.GetHash() == "" {
		return // it did not get there in time, or got over it
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probes = append(w.probes, evidence.Probe{Node: n.ID, Index: index, Hash: answer.Msg.GetHash()})
}
