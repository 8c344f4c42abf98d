package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// world is a cluster in a synctest bubble: real nodes, real Raft, the network and the disks in memory.
type world struct {
	t     *testing.T
	ctx   context.Context
	peers []Peer
	nodes map[string]*testNode

	mu         sync.Mutex
	transports map[raft.ServerAddress]*raft.InmemTransport
	cut        map[raft.ServerAddress]bool
	listeners  map[string]*pipeListener
}

// testNode is one node's disk, which outlives its process, and the process.
type testNode struct {
	*Node
	id    string
	disk  vfs.FS
	log   raft.LogStore
	vote  raft.StableStore
	mu    sync.Mutex
	exits []int
	run   chan error
}

func newWorld(t *testing.T, founders ...string) *world {
	w := &world{
		t: t, ctx: t.Context(), nodes: map[string]*testNode{},
		transports: map[raft.ServerAddress]*raft.InmemTransport{}, cut: map[raft.ServerAddress]bool{}, listeners: map[string]*pipeListener{},
	}
	for _, id := range founders {
		w.peers = append(w.peers, w.peer(id))
	}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			w.stop(n.id)
		}
		time.Sleep(10 * time.Second) // virtual: calls of Raft to stopped nodes end by their timeouts
		// Pebble keeps objects with channels in pools of the process; they must not reach another bubble.
		// A pool lets go of what it has in two collections.
		runtime.GC()
		runtime.GC()
	})
	return w
}

func (w *world) peer(id string) Peer {
	return Peer{ID: id, RaftAddress: id + ":1", APIAddress: id + ":2"}
}

func (w *world) address(id string) raft.ServerAddress { return ServerAddress(id+":1", id+":2") }

// testLogger prints what nodes log when FANFOLD_TEST_LOG is set.
func testLogger() *slog.Logger {
	if os.Getenv("FANFOLD_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start starts (or restarts) a node on its disk.
func (w *world) start(id string, change ...func(*Config)) *testNode {
	w.t.Helper()
	n, err := w.open(id, change...)
	if err != nil {
		w.t.Fatalf("open %s: %v", id, err)
	}
	n.run = make(chan error, 1)
	go func(node *Node, run chan error) { run <- node.Run(w.ctx) }(n.Node, n.run)
	return n
}

func (w *world) open(id string, change ...func(*Config)) (*testNode, error) {
	n := w.nodes[id]
	if n == nil {
		store := &mortalStore{InmemStore: raft.NewInmemStore()}
		n = &testNode{id: id, disk: vfs.NewCrashableMem(), log: store, vote: store}
		w.nodes[id] = n
	}
	listener := newPipeListener(id + ":2")
	w.mu.Lock()
	w.listeners[id+":2"] = listener
	w.mu.Unlock()
	cfg := Config{
		NodeID: id, DataDir: "/data", FS: n.disk, Peers: w.peers,
		OpenLogs: func(string) (LogStores, error) {
			return LogStores{Log: n.log, Stable: n.vote, Close: func() error { return nil }}, nil
		},
		RaftTransport: func() (raft.Transport, error) { return w.transport(id), nil },
		APIListener:   listener, DialAPI: w.dial,
		Logger: testLogger(), CheckInvariants: true,
		Exit: func(code int) { n.mu.Lock(); n.exits = append(n.exits, code); n.mu.Unlock() },
	}
	for _, c := range change {
		c(&cfg)
	}
	node, err := Open(cfg)
	n.Node = node
	return n, err
}

// stop ends a node's process.
func (w *world) stop(id string) error {
	n := w.nodes[id]
	if n == nil || n.Node == nil {
		return nil
	}
	err := n.Close()
	if n.run != nil {
		err = errors.Join(<-n.run, err)
	}
	n.Node, n.run = nil, nil
	return err
}

func (w *world) exits(id string) []int {
	n := w.nodes[id]
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.exits)
}

// transport makes a transport and connects it with all others that are not cut off.
func (w *world) transport(id string) raft.Transport {
	address, made := raft.NewInmemTransportWithTimeout(w.address(id), 200*time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.transports[address] = made
	w.connect(address)
	return made
}

func (w *world) connect(address raft.ServerAddress) {
	for other, t := range w.transports {
		if other != address && !w.cut[address] && !w.cut[other] {
			t.Connect(address, w.transports[address])
			w.transports[address].Connect(other, t)
		}
	}
}

// isolate cuts a node off from the others' Raft; heal undoes it.
func (w *world) isolate(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	address := w.address(id)
	w.cut[address] = true
	if t := w.transports[address]; t != nil {
		t.DisconnectAll()
	}
	for _, t := range w.transports {
		t.Disconnect(address)
	}
}

func (w *world) heal(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.cut, w.address(id))
	if w.transports[w.address(id)] != nil {
		w.connect(w.address(id))
	}
}

// until waits, in virtual time, until a condition holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for range 6000 {
		synctest.Wait()
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	for id, n := range w.nodes {
		if len(n.run) > 0 {
			w.t.Errorf("%s has ended: %v", id, <-n.run)
			n.run = nil
		}
	}
	w.t.Fatalf("a minute has passed, and not: %s", what)
}

// leader waits until one of the nodes leads and is ready, and every other knows it.
func (w *world) leader(among ...string) *testNode {
	w.t.Helper()
	var found *testNode
	w.until("a leader", func() bool {
		found = nil
		for _, id := range among {
			n := w.nodes[id]
			if n == nil || n.Node == nil {
				continue
			}
			if _, ok := n.Leading(); ok {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// submit submits a job of one step through the leader's engine and returns the entry's index.
func (w *world) submit(leader *testNode) (fsm.JobID, uint64) {
	w.t.Helper()
	e, ok := leader.Leading()
	if !ok {
		w.t.Fatalf("%s does not lead", leader.id)
	}
	id := fsm.JobID(ulid.Make())
	answers, index, err := e.Submit(w.ctx, []*fsmpb.SubmitJob{{Job: id[:], Namespace: "default", Graph: oneStep, Input: &fsmpb.Value{Inline: []byte(`1`)}}})
	if err != nil {
		w.t.Fatalf("submit: %v", err)
	}
	if r := answers[0].Refusal; r != nil {
		w.t.Fatalf("submit: %v", r)
	}
	return id, index
}

var oneStep = func() []byte {
	b := dag.NewBuilder("one")
	b.Output(b.Task("only", dag.Step{Task: "noop", Types: "int->int", Input: dag.Input()}))
	g, err := b.Build()
	if err != nil {
		panic(err)
	}
	return dag.Encode(g)
}()

// caughtUp waits until the nodes have applied index.
func (w *world) caughtUp(index uint64, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.until(fmt.Sprintf("%s has applied %d", id, index), func() bool {
			applied, _ := w.nodes[id].Machine().Applied()
			return applied >= index
		})
	}
}

// sameHash compares the nodes' state hashes at one index. A node that was sent the state while it was
// behind that index has no hash there; then it is asked for another one.
func (w *world) sameHash(leader *testNode, ids ...string) {
	w.t.Helper()
	for range 10 {
		if w.hashesAt(leader, ids...) {
			return
		}
	}
	w.t.Fatal("some node never has a hash")
}

func (w *world) hashesAt(leader *testNode, ids ...string) (complete bool) {
	w.t.Helper()
	e, ok := leader.Leading()
	if !ok {
		w.t.Fatalf("%s does not lead", leader.id)
	}
	index, err := e.HashState(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	want := ""
	for _, id := range append([]string{leader.id}, ids...) {
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
		got, known := w.nodes[id].NodeHash(ctx, index)
		cancel()
		if !known {
			return false
		}
		if want == "" {
			want = got
		}
		if got != want {
			w.t.Fatalf("hash at %d: %s has %q, %s has %q", index, leader.id, want, id, got)
		}
	}
	return true
}

// hasJob reports whether a node's state has the job.
func (w *world) hasJob(id string, job fsm.JobID) bool {
	v := w.nodes[id].Machine().View()
	defer v.Close()
	_, err := v.Job(job)
	return err == nil
}

func (w *world) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	l := w.listeners[address]
	w.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("nobody listens on %s", address)
	}
	return l.dial(ctx)
}

// pipeListener is a listener in memory.
type pipeListener struct {
	address string
	conns   chan net.Conn
	once    sync.Once
	done    chan struct{}
}

func newPipeListener(address string) *pipeListener {
	return &pipeListener{address: address, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return nodeAddr(l.address) }

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
