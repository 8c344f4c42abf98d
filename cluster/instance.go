package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// instance is one hashicorp/raft instance, from start to shutdown. A node has one at a time, and as a
// rule one for its life; it starts over when a snapshot replaced a state that the log contradicts.
type instance struct {
	node      *Node
	raft      *raft.Raft
	log       *raftLog
	snapshots *snapshotStore
	transport raft.Transport
	peers     *reachability

	conflict chan struct{} // a value: start over
	down     chan struct{} // closed when the shutdown has begun
}

// errStartOver ends an instance whose log contradicts the installed state.
var errStartOver = errors.New("cluster: the log contradicts the installed state; Raft starts over")

const shutdownTimeout = 15 * time.Second

// startInstance brings the log in line with the state and starts Raft.
func (n *Node) startInstance() (*instance, error) {
	i := &instance{node: n, snapshots: newSnapshotStore(n.replica), conflict: make(chan struct{}, 1), down: make(chan struct{})}
	n.logs.floor = i.floor
	if err := n.reconcile(); err != nil {
		return nil, err
	}
	transport, err := n.openTransport()
	if err != nil {
		return nil, err
	}
	if i.transport, err = oneCallPerPeer(transport); err == nil {
		err = i.start()
	}
	if err != nil {
		return nil, errors.Join(err, closeTransport(transport))
	}
	return i, nil
}

func (i *instance) start() error {
	n := i.node
	conf := n.raftConfig()
	exists, err := raft.HasExistingState(n.logs, n.stable, i.snapshots)
	if err != nil {
		return err
	}
	if who := n.whoAmI(); !exists && who.Cluster != "" && !who.Joining {
		return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf(
			"node %s was a member of cluster %s, but the log and the votes in %s are gone; "+
				"empty the data directory, remove the node from the cluster and add it under a new id", who.Node, who.Cluster, n.cfg.DataDir)}
	}
	if founders := n.founders(i.transport.LocalAddr()); !exists && founders != nil {
		if err := raft.BootstrapCluster(conf, n.logs, n.stable, i.snapshots, i.transport, *founders); err != nil {
			return fmt.Errorf("cluster: found the cluster: %w", err)
		}
	}
	if n.logs.bytes == nil && n.cfg.TrailingLogs < keepAll {
		n.logs.bytes = newLogBytes(n.cfg.LogBytes)
	}
	if i.raft, err = raft.NewRaft(conf, (*raftFSM)(i), n.logs, n.stable, i.snapshots, i.transport); err != nil {
		return fmt.Errorf("cluster: start Raft: %w", err)
	}
	i.log = newRaftLog(i.raft, n.pauses, n.fail, conf.LeaderLeaseTimeout, conf.ElectionTimeout)
	i.peers = observePeers(i.raft)
	return nil
}

func (n *Node) raftConfig() *raft.Config {
	c, scale := n.cfg, time.Duration(n.cfg.TimeoutMultiplier)
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(c.NodeID)
	conf.Logger = newRaftLogger(n.logger)
	conf.HeartbeatTimeout = c.HeartbeatTimeout * scale
	conf.ElectionTimeout = c.ElectionTimeout * scale
	conf.LeaderLeaseTimeout = c.LeaseTimeout * scale
	conf.MaxAppendEntries = 64
	conf.BatchApplyCh = true
	conf.SnapshotThreshold = c.SnapshotThreshold
	conf.SnapshotInterval = c.SnapshotInterval
	conf.TrailingLogs = c.TrailingLogs
	conf.NoSnapshotRestoreOnStart = true // the state is the snapshot
	conf.ShutdownOnRemove = false
	conf.NoLegacyTelemetry = true
	return conf
}

// run serves until ctx is done or the instance must start over, and shuts Raft down.
func (i *instance) run(ctx context.Context) error {
	terms, stop := context.WithCancel(ctx)
	defer stop()
	led := make(chan struct{})
	go func() { i.lead(terms); close(led) }()
	if i.node.logs.bytes != nil {
		go i.cutLog(terms)
	}
	var err error
	select {
	case <-ctx.Done():
	case <-i.conflict:
		err = errStartOver
	}
	stop()
	<-led
	if err == nil {
		i.handOver()
	}
	return errors.Join(err, i.shutdown())
}

// handOver makes another node the leader before this one goes: the cluster then does not wait for a
// heartbeat to be missed.
func (i *instance) handOver() {
	if i.raft.State() != raft.Leader || i.otherVoters() == 0 {
		return
	}
	done := make(chan error, 1)
	go func() { done <- i.raft.LeadershipTransfer().Error() }()
	select {
	case err := <-done:
		if err != nil {
			i.node.logger.Warn("leadership was not handed over; the others elect after a heartbeat is missed", "error", err)
		}
	case <-time.After(2 * time.Second):
	}
}

func (i *instance) otherVoters() (count int) {
	for _, s := range i.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && s.ID != raft.ServerID(i.node.cfg.NodeID) {
			count++
		}
	}
	return count
}

// shutdown ends Raft and its transport. Raft waits for its goroutines, and one of them may hang on
// a disk: after shutdownTimeout the node gives up, without closing the files under it.
func (i *instance) shutdown() error {
	future := i.raft.Shutdown()
	close(i.down)
	err := closeTransport(i.transport) // calls on their way end now, not at their timeouts
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case waited := <-done:
		i.log.close()
		return errors.Join(err, waited)
	case <-time.After(shutdownTimeout):
		return fmt.Errorf("%w in %v", errShutdownHangs, shutdownTimeout)
	}
}

var errShutdownHangs = errors.New("cluster: Raft did not shut down")

// floor is the first log index that must be kept.
func (i *instance) floor() uint64 {
	floor := i.node.replica.machine().Flushed().Index
	if sending, any := i.snapshots.lowestSending(); any {
		floor = min(floor, sending)
	}
	return floor
}

// raftFSM is what Raft calls: the replica, and the installing of snapshots, which concerns the log
// as well.
type raftFSM instance

func (f *raftFSM) Apply(log *raft.Log) any                  { return f.node.replica.Apply(log) }
func (f *raftFSM) ApplyBatch(logs []*raft.Log) []any        { return f.node.replica.ApplyBatch(logs) }
func (f *raftFSM) Snapshot() (raft.FSMSnapshot, error)      { return f.node.replica.Snapshot() }
func (f *raftFSM) Restore(source io.ReadCloser) (err error) { return (*instance)(f).restore(source) }
