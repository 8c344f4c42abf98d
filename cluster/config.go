package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// Default addresses of a node; loopback, because nothing is encrypted or authenticated yet.
const (
	DefaultAPIAddress  = "127.0.0.1:7400"
	DefaultRaftAddress = "127.0.0.1:7401"
)

// Peer is a member of a fixed set of nodes that found a cluster together.
type Peer struct {
	ID          string
	RaftAddress string // host:port that the others dial
	APIAddress  string // host:port that clients and followers dial
}

// Config describes a node. The zero value of a field is its default; every edge to the outside
// (disk, network, process, log) is a parameter, so that tests replace the edges and run the rest.
type Config struct {
	// NodeID is the node's name in the cluster, for ever: a node that has lost its disk comes back
	// under a new one, because its old votes are lost too. At most 64 of [A-Za-z0-9._-]; required.
	NodeID string
	// DataDir holds all that the node keeps; required. One process at a time.
	DataDir string

	RaftAddress   string // host:port to listen on; DefaultRaftAddress
	APIAddress    string // host:port to listen on; DefaultAPIAddress
	RaftAdvertise string // host:port that other nodes dial; the listener's address
	APIAdvertise  string // host:port that clients and other nodes dial; the listener's address

	// Peers found a new cluster together: every one of them is started with the same list, itself
	// included. Empty, with Join empty too: the node founds a cluster of its own.
	// Ignored when the data directory already belongs to a cluster.
	Peers []Peer
	// Join are API addresses of a cluster's nodes; the node asks them to take it in.
	Join []string

	// HeartbeatTimeout is how long a follower waits for the leader before it stands for election.
	// Default 500 ms: the next leader is there after one to two seconds.
	HeartbeatTimeout time.Duration
	ElectionTimeout  time.Duration // how long a candidate waits for votes; HeartbeatTimeout
	// LeaseTimeout is how long a leader goes on without hearing from a majority; half of
	// HeartbeatTimeout, which VerifyLeader relies on (see log.go).
	LeaseTimeout time.Duration
	// TimeoutMultiplier scales the three timeouts for slow networks or starved machines; 1.
	TimeoutMultiplier int

	// SnapshotThreshold is how many log entries may lie above the last flush of the state; 8192.
	SnapshotThreshold uint64
	SnapshotInterval  time.Duration // how often that is looked at, at least; 60 s
	// TrailingLogs is how many entries stay in the log after a flush, so that a follower that was
	// away can catch up from the log; 20480, at least 1.
	TrailingLogs uint64
	// LogBytes bounds the log by bytes: when so many new ones have gathered, the state is flushed and
	// half of them stay; 128 MiB, at least 1 MiB. It does nothing when TrailingLogs is 1<<30 or more.
	LogBytes uint64
	// LogCacheEntries bounds the entries kept in memory for followers; 64 (at most 300 KB each).
	LogCacheEntries int
	// StallTimeout ends the process when one write to the disk takes that long; 10 s.
	StallTimeout time.Duration

	// WebhookAllow are networks that webhooks may be delivered to although they are not public. Default none:
	// this machine, private networks and the cloud's metadata service are out of reach.
	WebhookAllow []netip.Prefix
	// WebhookResolve finds the addresses of a webhook endpoint's host; the system's resolver.
	WebhookResolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// WebhookDial connects to a webhook endpoint, at an address that was found and allowed; TCP.
	WebhookDial func(ctx context.Context, network, address string) (net.Conn, error)

	// FS is where the state lives; the operating system's.
	FS vfs.FS
	// OpenLogs opens the log and the votes below a directory; WALLogs.
	OpenLogs func(dir string) (LogStores, error)
	// RaftTransport makes the transport of one Raft instance; its LocalAddr is ServerAddress(raft, api)
	// of the advertised addresses. Default: TCP on RaftAddress.
	RaftTransport func() (raft.Transport, error)
	// APIListener serves the API; default: TCP on APIAddress.
	APIListener net.Listener
	// DialRaft connects to another node's Raft address; TCP.
	DialRaft func(address string, timeout time.Duration) (net.Conn, error)
	// DialAPI connects to another node's API; TCP.
	DialAPI func(ctx context.Context, address string) (net.Conn, error)
	// Now is the wall clock that stamps log entries; time.Now.
	Now func() time.Time
	// Logger; slog.Default.
	Logger *slog.Logger
	// Exit ends the process when it must not go on; os.Exit. It may be called from any goroutine.
	Exit func(code int)
	// CacheBytes is the state's block cache; 0 = fsm's default.
	CacheBytes int64
	// CheckInvariants recomputes the state's invariants after every apply; for tests.
	CheckInvariants bool
	// Version is shown in the cluster's status.
	Version string
}

var nodeIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// withDefaults fills in defaults and reports every problem at once.
func (c Config) withDefaults() (Config, error) {
	c.RaftAddress = cmp.Or(c.RaftAddress, DefaultRaftAddress)
	c.APIAddress = cmp.Or(c.APIAddress, DefaultAPIAddress)
	c.TimeoutMultiplier = cmp.Or(c.TimeoutMultiplier, 1)
	c.HeartbeatTimeout = cmp.Or(c.HeartbeatTimeout, 500*time.Millisecond)
	c.ElectionTimeout = cmp.Or(c.ElectionTimeout, c.HeartbeatTimeout)
	c.LeaseTimeout = cmp.Or(c.LeaseTimeout, c.HeartbeatTimeout/2)
	c.SnapshotThreshold = cmp.Or(c.SnapshotThreshold, 8192)
	c.SnapshotInterval = cmp.Or(c.SnapshotInterval, time.Minute)
	c.TrailingLogs = cmp.Or(c.TrailingLogs, 20480)
	c.LogCacheEntries = cmp.Or(c.LogCacheEntries, 64)
	c.LogBytes = cmp.Or(c.LogBytes, 128<<20)
	c.StallTimeout = cmp.Or(c.StallTimeout, 10*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.OpenLogs == nil {
		c.OpenLogs = WALLogs
	}
	if c.DialAPI == nil {
		c.DialAPI = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
		}
	}
	if c.DialRaft == nil {
		c.DialRaft = dialTCP
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Exit == nil {
		c.Exit = os.Exit
	}
	return c, errors.Join(c.problems()...)
}

func (c *Config) problems() (all []error) {
	problem := func(format string, args ...any) { all = append(all, fmt.Errorf("cluster: "+format, args...)) }
	if !nodeIDForm.MatchString(c.NodeID) {
		problem("node id %q: it needs 1 to 64 letters, digits, dots, dashes or underscores", c.NodeID)
	}
	if c.DataDir == "" {
		problem("a data directory is needed")
	}
	for _, a := range []struct{ name, address string }{
		{"Raft address", c.RaftAddress}, {"API address", c.APIAddress},
		{"advertised Raft address", c.RaftAdvertise}, {"advertised API address", c.APIAdvertise},
	} {
		if a.address == "" {
			continue
		}
		if err := checkAddress(a.address); err != nil {
			problem("%s: %v", a.name, err)
		}
	}
	if len(c.Peers) > 0 && len(c.Join) > 0 {
		problem("a node either founds a cluster with its peers or joins one; give peers or join, not both")
	}
	all = append(all, c.peerProblems()...)
	if c.TimeoutMultiplier < 1 || c.TimeoutMultiplier > 20 {
		problem("timeout multiplier %d: it lies between 1 and 20", c.TimeoutMultiplier)
	}
	if c.HeartbeatTimeout < 10*time.Millisecond || c.ElectionTimeout < c.HeartbeatTimeout || c.LeaseTimeout > c.HeartbeatTimeout/2 || c.LeaseTimeout < 5*time.Millisecond {
		problem("timeouts: heartbeat %v (at least 10ms), election %v (at least the heartbeat's), lease %v (5ms to half of the heartbeat's)",
			c.HeartbeatTimeout, c.ElectionTimeout, c.LeaseTimeout)
	}
	if c.StallTimeout < 100*time.Millisecond {
		problem("stall timeout %v: at least 100ms", c.StallTimeout)
	}
	if c.LogBytes < 1<<20 {
		problem("log of %d bytes: at least 1 MiB", c.LogBytes)
	}
	if c.LogCacheEntries < 1 {
		problem("log cache of %d entries: at least 1", c.LogCacheEntries)
	}
	return all
}

func (c *Config) peerProblems() (all []error) {
	seen, self := map[string]bool{}, false
	for _, p := range c.Peers {
		if !nodeIDForm.MatchString(p.ID) || seen[p.ID] {
			all = append(all, fmt.Errorf("cluster: peer %q: ids are needed, once each", p.ID))
		}
		seen[p.ID], self = true, self || p.ID == c.NodeID
		for _, a := range []string{p.RaftAddress, p.APIAddress} {
			if err := checkAddress(a); err != nil {
				all = append(all, fmt.Errorf("cluster: peer %q: %v", p.ID, err))
			}
		}
	}
	if len(c.Peers) > 0 && !self {
		all = append(all, fmt.Errorf("cluster: the peers must include this node, %q", c.NodeID))
	}
	return all
}

func checkAddress(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil || strings.Contains(address, "/") {
		return fmt.Errorf("%q is not of the form host:port", address)
	}
	return nil
}

// peer returns this node's own entry in Peers.
func (c *Config) peer() (Peer, bool) {
	for _, p := range c.Peers {
		if p.ID == c.NodeID {
			return p, true
		}
	}
	return Peer{}, false
}

// The data directory: LOCK and node.json (identity.go), raft/ (logstore.go), state/ (statedir.go).
func (c *Config) raftDir() string  { return filepath.Join(c.DataDir, "raft") }
func (c *Config) stateDir() string { return c.FS.PathJoin(c.DataDir, "state") }

func dialTCP(address string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", address, timeout)
}
