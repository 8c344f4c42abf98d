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

// restore installs a snapshot from the leader.
//
// Raft's paper says that a log which does not hold the snapshot's last entry is to be discarded as a
// whole. hashicorp/raft keeps it (#697): a follower with a stale tail then refuses every entry for
// ever, and one with stale entries below the snapshot would hand them to others, should it ever
// lead. So the log is discarded here. Raft has the last entry's index and term in memory, too; where
// the discarded log reached up to the snapshot or beyond, Raft has to start over. It is kept from
// doing anything in between: its main loop waits for restore, and restore for the shutdown.
func (i *instance) restore(source io.ReadCloser) error {
	meta, done := i.snapshots.takeReceived()
	defer done()
	if meta == nil {
		return errors.New("cluster: Raft restores a snapshot that was not received")
	}
	n := i.node
	if applied, _ := n.replica.machine().Applied(); meta.Index < applied {
		return fmt.Errorf("cluster: the snapshot at index %d is older than this node's state at %d", meta.Index, applied)
	}
	if err := n.replica.install(source, meta.Index, meta.Term); err != nil {
		n.logger.Error("a snapshot was refused", "error", err)
		return err
	}
	n.learnClusterID()
	last, err := n.logs.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	agrees, err := n.logAgrees(meta.Index, meta.Term)
	if err != nil || agrees {
		return err
	}
	if last < meta.Index {
		return n.discardLog()
	}
	n.logger.Warn("the log contradicts the installed state; Raft starts over", "log_until", last, "state_at", meta.Index)
	i.conflict <- struct{}{}
	<-i.down
	return errStartOver
}

// reconcile makes the log agree with the state before Raft reads it, and refuses to start where it
// cannot: the log may be behind the state only where a snapshot has replaced what it held.
func (n *Node) reconcile() error {
	index, term := n.replica.machine().Applied()
	first, err := n.logs.FirstIndex()
	if err != nil {
		return err
	}
	if first > index+1 {
		return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf(
			"the log in %s begins at %d, but the state ends at %d: the state was removed or restored from elsewhere; "+
				"empty the data directory, remove the node from the cluster and add it under a new id", n.cfg.DataDir, first, index)}
	}
	if index == 0 {
		return nil
	}
	if term, err := n.stable.GetUint64([]byte("CurrentTerm")); isKeyMissing(err) || err == nil && term == 0 {
		return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf(
			"the state in %s is at index %d, but the node's votes are gone: without them it could vote twice; "+
				"empty the data directory, remove the node from the cluster and add it under a new id", n.cfg.DataDir, index)}
	} else if err != nil {
		return err
	}
	agrees, err := n.logAgrees(index, term)
	if err != nil || agrees {
		return err
	}
	if first == 0 {
		return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf(
			"the state in %s is at index %d, but the log is gone, and with it entries that this node has told others it has; "+
				"empty the data directory, remove the node from the cluster and add it under a new id", n.cfg.DataDir, index)}
	}
	n.logger.Warn("the log does not hold the state's last entry and is discarded: a snapshot was installed just before the node stopped", "index", index, "term", term)
	return n.discardLog()
}

// logAgrees reports whether the log goes on from a state at this index and term: it has that very
// entry, or the state was installed at this index, and the log was appended to since. (What it has then
// may be acknowledged to a leader: to discard it would be to lose it.)
func (n *Node) logAgrees(index, term uint64) (bool, error) {
	if holds, err := n.logs.holds(index, term); err != nil || holds {
		return holds, err
	}
	state, err := n.replica.dir.current()
	if err != nil {
		return false, err
	}
	first, err := n.logs.FirstIndex()
	return state.installed == index && (first == 0 || first == index+1), err
}

// discardLog removes the whole log. The state, which is on disk, covers what of it was committed.
func (n *Node) discardLog() error {
	first, err := n.logs.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := n.logs.LastIndex()
	if err != nil {
		return err
	}
	return deleteDownwards(n.logs.deleteSome, first, last)
}

// holds reports whether the log has entry index of this term.
func (g *guardedLog) holds(index, term uint64) (bool, error) {
	var entry raft.Log
	switch err := g.GetLog(index, &entry); {
	case errors.Is(err, raft.ErrLogNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return entry.Term == term, nil
}
