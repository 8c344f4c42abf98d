package cluster

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

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
// cannot: the log may be behind the state only where a snapshot has replaced what it held, and nothing was applied since.
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
	if state, err := n.replica.dir.current(); err != nil {
		return err
	} else if state.installed != index {
		return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf(
			"the state in %s has applied the entry at index %d of term %d, and the log does not hold it: the log has lost entries that this node has told others it has; "+
				"empty the data directory and start the node again: it joins anew", n.cfg.DataDir, index, term)}
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
