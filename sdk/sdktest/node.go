package sdktest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// node is a member's disk, which outlives its process, and the process.
type node struct {
	cluster *Cluster
	peer    cluster.Peer
	peers   []cluster.Peer
	log     *memory // the log and the votes: what is there is on disk

	mu   sync.Mutex // guards what follows
	disk *vfs.MemFS
	live *cluster.Node // nil: not running
	run  chan error
}

func newNode(c *Cluster, peer cluster.Peer, peers []cluster.Peer) *node {
	return &node{cluster: c, peer: peer, peers: peers, log: newMemory(), disk: vfs.NewCrashableMem()}
}

// start runs the node on its disk.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live != nil {
		return fmt.Errorf("%s is running", n.peer.ID)
	}
	listener, err := n.cluster.net.Listen(n.peer.APIAddress)
	if err != nil {
		return err
	}
	live, err := cluster.Open(n.config(listener))
	if err != nil {
		listener.Close()
		return err
	}
	n.live, n.run = live, make(chan error, 1)
	go func(run chan error) { run <- live.Run(context.Background()) }(n.run)
	return nil
}

func (n *node) config(listener *pipenet.Listener) cluster.Config {
	timeout := n.cluster.timeout
	return cluster.Config{
		NodeID: n.peer.ID, DataDir: "/data", FS: n.disk, Peers: n.peers,
		HeartbeatTimeout: timeout, ElectionTimeout: timeout, LeaseTimeout: timeout / 2,
		OpenLogs: func(string) (cluster.LogStores, error) {
			return cluster.LogStores{Log: n.log, Stable: n.log, Close: func() error { return nil }}, nil
		},
		RaftTransport: func() (raft.Transport, error) { return n.cluster.wire(n.peer), nil },
		APIListener:   listener,
		DialAPI: func(ctx context.Context, address string) (net.Conn, error) {
			return n.cluster.net.Dialer(n.peer.ID)(ctx, "tcp", address)
		},
		Logger: n.cluster.log, CheckInvariants: n.cluster.checks,
		Exit: func(int) {}, // Run returns the reason
		// What a test listens on is on this machine.
		WebhookAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
}

// current is the running node, nil if it is not running.
func (n *node) current() *cluster.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.live
}

func (n *node) leads() bool {
	live := n.current()
	if live == nil {
		return false
	}
	_, ok := live.Leading()
	return ok
}

// stop ends the node in good order.
func (n *node) stop() {
	n.mu.Lock()
	live, run := n.live, n.run
	n.live = nil
	n.mu.Unlock()
	if live != nil {
		live.Close()
		<-run
	}
}

// kill ends the node as kill -9 and a power cut together do: nothing more leaves it, and what was not
// synced is not on its disk.
func (n *node) kill() {
	n.mu.Lock()
	if n.live == nil {
		n.mu.Unlock()
		return
	}
	n.disk = n.disk.CrashClone(vfs.CrashCloneCfg{})
	n.log = copyOf(n.log)
	n.mu.Unlock()
	n.cluster.unplug(n.peer)
	n.stop()
}

// memory is a node's log and votes.
type memory struct {
	*raft.InmemStore // the log

	mu     sync.Mutex // guards what follows
	stable map[string][]byte
}

func newMemory() *memory {
	return &memory{InmemStore: raft.NewInmemStore(), stable: map[string][]byte{}}
}

func (m *memory) Set(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stable[string(key)] = bytes.Clone(value)
	return nil
}

// Get gives nothing for a key that is not there, as Raft expects it.
func (m *memory) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.stable[string(key)]), nil
}

func (m *memory) SetUint64(key []byte, value uint64) error {
	return m.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

func (m *memory) GetUint64(key []byte) (uint64, error) {
	value, err := m.Get(key)
	if len(value) < 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), err
}

// copyOf is the log as it is now: what the dying process still writes does not count.
func copyOf(from *memory) *memory {
	to := newMemory()
	first, _ := from.FirstIndex()
	last, _ := from.LastIndex()
	for i := first; i > 0 && i <= last; i++ {
		entry := new(raft.Log)
		if from.GetLog(i, entry) == nil {
			_ = to.StoreLog(entry)
		}
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	to.stable = maps.Clone(from.stable)
	return to
}

// wireTimeout bounds one call between nodes' Raft.
const wireTimeout = 200 * time.Millisecond

// wire makes a node's Raft transport and connects it with those that it can reach.
func (c *Cluster) wire(p cluster.Peer) raft.Transport {
	address, made := raft.NewInmemTransportWithTimeout(wireAddress(p), wireTimeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wires[address] = made
	c.rewire()
	return made
}

func wireAddress(p cluster.Peer) raft.ServerAddress {
	return cluster.ServerAddress(p.RaftAddress, p.APIAddress)
}

// rewire connects and disconnects every pair of nodes as apart says. Precondition: mu is held.
func (c *Cluster) rewire() {
	for _, a := range c.nodes {
		for _, b := range c.nodes {
			from, to := c.wires[wireAddress(a.peer)], c.wires[wireAddress(b.peer)]
			switch {
			case from == nil || to == nil || a == b:
			case c.apart[pair(a.peer.ID, b.peer.ID)]:
				from.Disconnect(to.LocalAddr())
			default:
				from.Connect(to.LocalAddr(), to)
			}
		}
	}
}

// unplug takes a node off the network at once.
func (c *Cluster) unplug(p cluster.Peer) {
	c.net.Kill(p.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.wires[wireAddress(p)]
	delete(c.wires, wireAddress(p))
	if gone != nil {
		gone.DisconnectAll()
		for _, w := range c.wires {
			w.Disconnect(gone.LocalAddr())
		}
	}
}

func pair(a, b string) [2]string { return [2]string{min(a, b), max(a, b)} }
