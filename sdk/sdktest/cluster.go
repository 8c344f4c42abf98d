package sdktest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// Cluster is a cluster of real nodes in this process: their Raft, engine and state machine, over a network
// and disks in memory. Nodes are named node1, node2, ... and clients and workers have hosts of their own
// on the network, so that any link can be cut. All methods are safe for concurrent use.
type Cluster struct {
	net     *pipenet.Network
	log     *slog.Logger
	timeout time.Duration // Raft's heartbeat
	checks  bool          // recompute the machines' invariants after every entry
	life    context.Context
	end     context.CancelFunc
	closers []func()

	mu        sync.Mutex // guards what follows
	nodes     map[string]*node
	wires     map[raft.ServerAddress]*raft.InmemTransport
	apart     map[[2]string]bool // pairs of nodes whose Raft is cut
	hosts     int                // clients and workers so far
	configure []func(*sdk.ClientConfig)
	first     *sdk.Client
}

// NewCluster starts a cluster inside a bubble of testing/synctest, waits for its leader, and takes it down
// with the test:
//
//	synctest.Test(t, func(t *testing.T) {
//		c := sdktest.NewCluster(t, 3)
//
// Time is the bubble's: failovers, leases and retries cost nothing. Tests with clusters must not run in
// parallel (t.Parallel).
func NewCluster(t testing.TB, nodes int) *Cluster {
	t.Helper()
	c, err := start(nodes, 500*time.Millisecond, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		time.Sleep(10 * time.Second) // virtual: what Raft has asked of stopped nodes times out
		synctest.Wait()
		emptyPools()
	})
	c.Leader()
	return c
}

// emptyPools makes what this bubble has left in the process's sync.Pools unreachable: Pebble keeps objects
// with channels there, and a channel that was made in one bubble must not be used in another. A pool
// survives one collection and not two. This is also why tests with clusters must not run in parallel.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// Start starts a cluster of one node in real time, outside of a bubble and without a test: for examples,
// benchmarks and programs that want to show something without a server. It is ready in a few
// hundredths of a second. Close it.
func Start() (*Cluster, error) {
	c, err := start(1, 20*time.Millisecond, false)
	if err != nil {
		return nil, err
	}
	if c.Leader() == "" {
		c.Close()
		return nil, errors.New("sdktest: the node does not become a leader")
	}
	return c, nil
}

func start(nodes int, timeout time.Duration, checks bool) (*Cluster, error) {
	c := &Cluster{
		net: pipenet.New(), log: slog.New(slog.DiscardHandler), timeout: timeout, checks: checks,
		nodes: map[string]*node{}, wires: map[raft.ServerAddress]*raft.InmemTransport{}, apart: map[[2]string]bool{},
	}
	c.life, c.end = context.WithCancel(context.Background())
	var peers []cluster.Peer
	for i := range nodes {
		id := fmt.Sprintf("node%d", i+1)
		peers = append(peers, cluster.Peer{ID: id, RaftAddress: id + ":7401", APIAddress: id + ":7400"})
	}
	for _, p := range peers {
		c.nodes[p.ID] = newNode(c, p, peers) // all, before the first one looks for the others
	}
	for _, n := range c.all() {
		if err := n.start(); err != nil {
			c.Close()
			return nil, fmt.Errorf("sdktest: %s: %w", n.peer.ID, err)
		}
	}
	return c, nil
}

// Close stops workers, clients and nodes.
func (c *Cluster) Close() {
	c.Heal()
	c.end()
	c.mu.Lock()
	closers := c.closers
	c.closers = nil
	c.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
	c.net.Close() // first, so that no node waits for its clients to leave
	for _, n := range c.all() {
		n.stop()
	}
}

func (c *Cluster) atClose(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, f)
}

// all returns the nodes in the order of their names.
func (c *Cluster) all() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*node
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		all = append(all, c.nodes[id])
	}
	return all
}

// Nodes are the names of all nodes.
func (c *Cluster) Nodes() (names []string) {
	for _, n := range c.all() {
		names = append(names, n.peer.ID)
	}
	return names
}

// Client returns a client of all nodes, the same for every call.
func (c *Cluster) Client() *sdk.Client {
	c.mu.Lock()
	client := c.first
	c.mu.Unlock()
	if client != nil {
		return client
	}
	client = c.NewClient(c.newHost("client"))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = client
	return client
}

// ConfigureClients lets change work on the configuration of every client made from now on, those of
// workers too: to give them a codec or interceptors.
func (c *Cluster) ConfigureClients(change func(*sdk.ClientConfig)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.configure = append(c.configure, change)
}

// NewClient returns a client on a host of its own, under a name that Cut knows.
func (c *Cluster) NewClient(host string) *sdk.Client {
	var addresses []string
	for _, n := range c.all() {
		addresses = append(addresses, n.peer.APIAddress)
	}
	cfg := sdk.ClientConfig{Addresses: addresses, Dialer: c.net.Dialer(host), Logger: c.log.With("host", host)}
	c.mu.Lock()
	for _, change := range c.configure {
		change(&cfg)
	}
	c.mu.Unlock()
	client, err := sdk.NewClient(cfg)
	if err != nil {
		panic(err) // the addresses are our own; what ConfigureClients does must be right
	}
	c.atClose(func() { client.Close() })
	return client
}

func (c *Cluster) newHost(kind string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts++
	return fmt.Sprintf("%s%d", kind, c.hosts)
}

// patience is how long a cluster may take to have a leader.
const patience = 60 * time.Second

// Leader waits for a leader that is ready and returns its name; "" after a minute without one.
func (c *Cluster) Leader() string {
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(5 * time.Millisecond) {
		for _, n := range c.all() {
			if n.leads() {
				return n.peer.ID
			}
		}
	}
	return ""
}

// StateHashes returns every living node's hash of its state at one log index. They must be equal.
func (c *Cluster) StateHashes(ctx context.Context) (map[string]string, error) {
	n := c.node(c.Leader())
	if n == nil {
		return nil, errors.New("sdktest: no leader")
	}
	engine, ok := n.current().Leading()
	if !ok {
		return nil, errors.New("sdktest: the leader has just lost its place")
	}
	index, err := engine.HashState(ctx)
	if err != nil {
		return nil, err
	}
	hashes := map[string]string{}
	for _, n := range c.all() {
		if live := n.current(); live != nil {
			hash, known := live.NodeHash(ctx, index)
			if !known {
				return nil, fmt.Errorf("sdktest: %s has no hash for log index %d", n.peer.ID, index)
			}
			hashes[n.peer.ID] = hash
		}
	}
	return hashes, nil
}

// Counters are the cluster's own counts: attempts, results, reports that were refused. They are exact.
func (c *Cluster) Counters(ctx context.Context) (*apiv1.Counters, error) {
	var counters *apiv1.Counters
	err := c.Client().Call(ctx, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
		if err == nil {
			counters = res.Msg.Counters
		}
		return err
	})
	return counters, err
}

func (c *Cluster) node(id string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}
