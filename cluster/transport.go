package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// ServerAddress joins a node's two addresses into the one that Raft's configuration has room for. So
// every node knows every node's API address from the moment it knows the node, and a new leader's
// from its first message on; nothing else has to be replicated for it.
func ServerAddress(raftAddress, apiAddress string) raft.ServerAddress {
	return raft.ServerAddress(raftAddress + "/" + apiAddress)
}

// splitAddress undoes ServerAddress.
func splitAddress(a raft.ServerAddress) (raftAddress, apiAddress string) {
	raftAddress, apiAddress, _ = strings.Cut(string(a), "/")
	return raftAddress, apiAddress
}

const (
	raftDialTimeout = 10 * time.Second // of a call, too
	// snapshotPace is the slowest a snapshot may be sent and restored: raftDialTimeout for every so
	// many bytes.
	snapshotPace = 64 << 10
	helloTimeout = 5 * time.Second
)

// tcpTransport makes the transport of one Raft instance on an open listener.
func tcpTransport(listener net.Listener, dial dialFunc, self raft.ServerAddress, clusterID func() string, log hclog.Logger) raft.Transport {
	layer := &streamLayer{Listener: listener, dial: dial, self: self, clusterID: clusterID, open: map[net.Conn]bool{}}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  layer,
		MaxPool: 3,
		Timeout: raftDialTimeout,
		Logger:  log,
		// One call at a time to each follower: pipelining can wedge for good (hashicorp/raft #612)
		// and gains nothing when entries are batches.
		MaxRPCsInFlight: 1,
	})
	transport.TimeoutScale = snapshotPace
	return transport
}

// dialFunc is Config.DialRaft.
type dialFunc func(address string, timeout time.Duration) (net.Conn, error)

// streamLayer carries Raft over TCP. Each connection begins with a greeting that names the cluster,
// so that a node of another cluster that has come to use the same address is turned away.
type streamLayer struct {
	net.Listener
	dial      dialFunc
	self      raft.ServerAddress
	clusterID func() string // hex; "" = not known yet

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

// Addr returns what Raft takes for this node's address.
func (l *streamLayer) Addr() net.Addr { return nodeAddr(l.self) }

type nodeAddr string

func (nodeAddr) Network() string  { return "tcp" }
func (a nodeAddr) String() string { return string(a) }

// Dial connects to the Raft half of address.
func (l *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	raftAddress, _ := splitAddress(address)
	conn, err := l.dial(raftAddress, timeout)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(greeting(l.clusterID())); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return l.track(conn)
}

// Accept returns at once; the greeting is read by the goroutine that serves the connection.
func (l *streamLayer) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.track(&greetedConn{Conn: conn, clusterID: l.clusterID})
}

// Close ends the listener and every connection: Raft's transport leaves those it serves open.
func (l *streamLayer) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for conn := range l.open {
		conn.Close()
	}
	return l.Listener.Close()
}

func (l *streamLayer) track(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	l.open[conn] = true
	return &trackedConn{Conn: conn, layer: l}, nil
}

type trackedConn struct {
	net.Conn
	layer *streamLayer
}

func (c *trackedConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.open, c.Conn)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}

// The greeting is a magic word with its version, and the cluster id padded to 32 bytes.
const (
	greetingMagic = "fanfold-raft/1 "
	clusterIDLen  = 32
)

func greeting(clusterID string) []byte {
	return fmt.Appendf(nil, "%s%-*s", greetingMagic, clusterIDLen, clusterID)
}

// greetedConn reads the greeting before anything else.
type greetedConn struct {
	net.Conn
	clusterID func() string
	greeted   bool
}

func (c *greetedConn) Read(p []byte) (int, error) {
	if !c.greeted {
		if err := c.greet(); err != nil {
			return 0, err
		}
		c.greeted = true
	}
	return c.Conn.Read(p)
}

func (c *greetedConn) greet() error {
	if err := c.Conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	got := make([]byte, len(greetingMagic)+clusterIDLen)
	if _, err := io.ReadFull(c.Conn, got); err != nil {
		return err
	}
	magic, theirs := got[:len(greetingMagic)], string(bytes.TrimRight(got[len(greetingMagic):], " "))
	if string(magic) != greetingMagic {
		return fmt.Errorf("cluster: %s does not speak Fanfold's Raft", c.RemoteAddr())
	}
	if ours := c.clusterID(); ours != "" && theirs != "" && ours != theirs {
		return fmt.Errorf("cluster: %s belongs to cluster %s, this node to %s", c.RemoteAddr(), theirs, ours)
	}
	return c.Conn.SetReadDeadline(time.Time{})
}

// oneCallPerPeer makes any transport what tcpTransport is: no pipelining.
func oneCallPerPeer(t raft.Transport) (raft.Transport, error) {
	preVote, ok := t.(raft.WithPreVote)
	if !ok {
		return nil, fmt.Errorf("cluster: the Raft transport %T does not support pre-votes", t)
	}
	return &serialTransport{Transport: t, WithPreVote: preVote}, nil
}

type serialTransport struct {
	raft.Transport
	raft.WithPreVote
}

func (t *serialTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (t *serialTransport) Close() error { return closeTransport(t.Transport) }

func closeTransport(t raft.Transport) error {
	if c, ok := t.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}

// reachability is what a leader knows of its followers: who did not answer the last heartbeat.
type reachability struct {
	mu   sync.Mutex
	lost map[raft.ServerID]bool
}

// observePeers follows a Raft instance. Raft calls the filter in its own goroutines; no channel is
// involved, so nothing can block Raft.
func observePeers(r *raft.Raft) *reachability {
	p := &reachability{lost: map[raft.ServerID]bool{}}
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch seen := o.Data.(type) {
		case raft.FailedHeartbeatObservation:
			p.lost[seen.PeerID] = true
		case raft.ResumedHeartbeatObservation:
			delete(p.lost, seen.PeerID)
		case raft.PeerObservation:
			delete(p.lost, seen.Peer.ID)
		}
		return false
	}))
	return p
}

func (p *reachability) reachable(id raft.ServerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.lost[id]
}
