package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// world is one cluster under one plan.
type world struct {
	plan    Plan
	net     *pipenet.Network
	wires   *wires
	peers   []cluster.Peer
	nodes   []*node
	clients []*sdk.Client
	workers []*worker
	tasks   *tasks
	logger  *slog.Logger
	start   time.Time // of the load
	slow    []atomic.Int64
	archive archive
	ending  atomic.Bool    // nothing crashes any more
	ghosts  sync.WaitGroup // processes that have crashed and run on unheard
	later   sync.WaitGroup // restarts

	mu     sync.Mutex // guards what follows
	healed bool
	ops    []history.Op
	fired  map[string]int // faults by kind
	exits  []string
	traps  []*trap // crashes that wait for a write
	broken []evidence.Verdict
	spawn  int // workers so far
}

// trap is a crash at the nth write of a node from now on.
type trap struct {
	node  int
	left  int
	after bool
	kept  int
}

// healTime is how long a healed cluster may take to finish everything.
const healTime = 5 * time.Minute

func newWorld(p Plan, logger *slog.Logger) *world {
	w := &world{plan: p, net: pipenet.New(), wires: newWires(p.Seed), fired: map[string]int{}, slow: make([]atomic.Int64, p.Nodes), logger: logger}
	w.tasks = newTasks(p.Seed)
	for i := range p.Nodes {
		id := fmt.Sprintf("n%d", i+1)
		w.peers = append(w.peers, cluster.Peer{ID: id, RaftAddress: id + ":1", APIAddress: id + ":2"})
	}
	for i, peer := range w.peers {
		w.nodes = append(w.nodes, newNode(w, i, peer))
	}
	return w
}

// run does all that the plan says, and returns when everything has ended.
func (w *world) run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer w.close()
	for _, n := range w.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	if !w.await(time.Minute, func() bool { return w.leader() != nil }) {
		w.violate("L1", "a healthy cluster makes progress", "no leader within a minute of the start")
		return nil
	}
	for range 2 {
		w.clients = append(w.clients, w.client("client"))
	}
	w.start = time.Now()
	for range w.plan.Workers {
		w.addWorker()
	}
	var faults, ops sync.WaitGroup
	for _, f := range w.plan.Faults {
		faults.Go(func() { w.fault(f) })
	}
	for _, o := range w.plan.Ops {
		ops.Go(func() { w.op(ctx, o) })
	}
	time.Sleep(w.plan.Load)
	w.heal()
	faults.Wait()
	w.later.Wait()
	if err := w.restartAll(); err != nil {
		return err
	}
	limit := time.AfterFunc(healTime, cancel) // what has not ended by then never will
	ops.Wait()
	limit.Stop()
	return w.settle()
}

// await waits until something holds; false: it did not within limit.
func (w *world) await(limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return holds()
}

// heal ends all faults.
func (w *world) heal() {
	w.mu.Lock()
	w.healed, w.traps = true, nil
	w.mu.Unlock()
	w.wires.heal()
	w.net.Heal()
	for i, n := range w.nodes {
		w.slow[i].Store(0)
		if p := n.current(); p != nil {
			p.life.release()
		}
	}
	w.addWorker() // whoever is left, somebody works
}

func (w *world) restartAll() error {
	for _, n := range w.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

// restartLater starts a node that has crashed again.
func (w *world) restartLater(n *node, after time.Duration) {
	w.later.Go(func() {
		time.Sleep(after)
		if err := n.start(); err != nil {
			w.exit(err.Error())
		}
	})
}

// settle waits until no job runs, and has all nodes say the hash of their states.
func (w *world) settle() error {
	if !w.await(healTime, func() bool { return w.leader() != nil }) {
		w.violate("L1", "a healthy cluster makes progress", "no leader after healing")
		return nil
	}
	running := ""
	if !w.await(healTime, func() bool { running = w.running(); return running == "" }) {
		w.violate("L1", "every job ends after healing", running)
	}
	return nil
}

// running says which job has not ended, by the leader's state.
func (w *world) running() string {
	p := w.leader()
	if p == nil {
		return "there is no leader"
	}
	return runningJob(p.live.Machine())
}

// hashes are the nodes' hashes at one index.
func (w *world) hashes() (index uint64, all map[string]string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		if index, all, err = w.hashesOnce(ctx); err == nil {
			return index, all, nil
		}
		time.Sleep(500 * time.Millisecond) // a node that was sent the state meanwhile has none at that index
	}
	return 0, nil, err
}

func (w *world) hashesOnce(ctx context.Context) (uint64, map[string]string, error) {
	p := w.leader()
	if p == nil {
		return 0, nil, errors.New("no leader")
	}
	e, ok := p.live.Leading()
	if !ok {
		return 0, nil, engine.ErrNotLeader
	}
	index, err := e.HashState(ctx)
	if err != nil {
		return 0, nil, err
	}
	all := map[string]string{}
	for _, n := range w.nodes {
		p := n.current()
		if p == nil {
			return 0, nil, fmt.Errorf("%s does not run", n.peer.ID)
		}
		one, cancel := context.WithTimeout(ctx, 10*time.Second)
		hash, known := p.live.NodeHash(one, index)
		cancel()
		if !known {
			return 0, nil, fmt.Errorf("%s has no hash at index %d", n.peer.ID, index)
		}
		all[n.peer.ID] = hash
	}
	return index, all, nil
}

// leader is a process that leads and is ready; nil: none.
func (w *world) leader() *process {
	for _, n := range w.nodes {
		if n.leads() {
			return n.current()
		}
	}
	return nil
}

// close ends workers and clients. Nodes are stopped by their own.
func (w *world) close() {
	w.mu.Lock()
	workers := w.workers
	w.mu.Unlock()
	for _, one := range workers {
		one.cancel()
	}
	for _, one := range workers {
		<-one.done
	}
	for _, c := range w.clients {
		c.Close()
	}
}

func (w *world) violate(id, rule, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := evidence.Verdict{ID: id, Rule: rule, Count: 1}
	v.Violate(text)
	w.broken = append(w.broken, v)
}

func (w *world) exit(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exits = append(w.exits, fmt.Sprintf("%s, %v after the load began", text, time.Since(w.start)))
}

func (w *world) crashed(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fired[kind]++
}
