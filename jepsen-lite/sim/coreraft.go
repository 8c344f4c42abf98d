package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
)

// coreEntry is an entry of a simulated log.
type coreEntry struct {
	term uint64
	data []byte // nil: the first entry of a term
}

// coreNode is a machine on a disk that forgets, and a simulated log.
type coreNode struct {
	index   int
	disk    *vfs.MemFS
	dir     string
	machine *fsm.Machine // nil: it does not run
	log     []coreEntry  // log[i] has index i+1
	synced  int          // of log
	away    bool         // cut off from all others
	lags    bool         // it hears of nothing, and does not know
	lives   int
	again   uint64 // so many entries are handed to a new machine although it has them
	flushed uint64 // what the state has promised to have on disk
	hashes  map[uint64]string
	clock   atomic.Int64 // how far its wall clock is off
}

func (n *coreNode) up() bool { return n.machine != nil }

func (n *coreNode) applied() uint64 {
	i, _ := n.machine.Applied()
	return i
}

func (n *coreNode) lastTerm() uint64 {
	if len(n.log) == 0 {
		return 0
	}
	return n.log[len(n.log)-1].term
}

func (n *coreNode) open() error {
	m, err := fsm.Open(n.disk, n.dir, fsm.Options{
		Logger: quiet, CacheBytes: 4 << 20,
		OnHash: func(h fsm.HashResult) { n.hashes[h.Index] = h.Hash },
	})
	if err != nil {
		return fmt.Errorf("n%d does not open its state: %w", n.index+1, err)
	}
	n.machine = m
	n.lives++
	n.again = 20 // as Raft hands over what it does not know to be applied
	return nil
}

// crash ends the node, and returns the machine, which runs on as a ghost: somebody may be reading it. What was
// not synced is left in part. Precondition: it runs.
func (n *coreNode) crash(percent int, r *rand.Rand) (ghost *fsm.Machine) {
	left := n.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
	ghost, n.flushed = n.machine, n.machine.Flushed().Index
	n.disk, n.machine = left, nil
	for n.synced < len(n.log) && r.IntN(100) < percent {
		n.synced++
	}
	n.log = n.log[:n.synced:n.synced]
	return ghost
}

// adopt makes this log what the leader's is. It returns what that broke: what was applied is never taken back.
func (n *coreNode) adopt(leader []coreEntry) error {
	same := min(len(n.log), len(leader))
	for i := range same {
		if n.log[i].term != leader[i].term {
			same = i
			break
		}
	}
	if uint64(same) < n.applied() {
		return fmt.Errorf("n%d has applied up to %d, and the leader has another entry at %d", n.index+1, n.applied(), same+1)
	}
	if same < len(n.log) && same < len(leader) {
		n.log = n.log[:same]
		n.synced = min(n.synced, same)
	}
	if len(leader) > len(n.log) {
		n.log = append(n.log[:len(n.log):len(n.log)], leader[len(n.log):]...)
	}
	return nil
}

// apply applies up to an index, some entries at a time, and returns the results by index.
func (n *coreNode) apply(to uint64, together int) (map[uint64]*fsm.Result, error) {
	results := map[uint64]*fsm.Result{}
	from := n.applied()
	if to > from {
		from, n.again = from-min(from, n.again), 0
	}
	for at := from; at < to; {
		var batch []fsm.LogEntry
		for ; at < to && len(batch) < together; at++ {
			if e := n.log[at]; e.data != nil {
				batch = append(batch, fsm.LogEntry{Index: at + 1, Term: e.term, Data: e.data})
			} else if len(batch) > 0 {
				break
			} else if err := n.machine.SetConfiguration(at+1, e.term, coreMembers); err != nil {
				return nil, err
			}
		}
		if len(batch) == 0 {
			continue
		}
		got, err := n.machine.Apply(batch)
		if err != nil {
			return nil, err
		}
		for i, r := range got {
			results[batch[i].Index] = r
		}
	}
	return results, nil
}

// install replaces the state by another node's, as a snapshot does, and returns the machine that was there.
func (n *coreNode) install(from *coreNode) (ghost *fsm.Machine, err error) {
	var stream bytes.Buffer
	w, err := from.machine.WriteSnapshot(&stream)
	if err != nil {
		return nil, err
	}
	dir := fmt.Sprintf("state%d", w.Index)
	if dir == n.dir || w.Index <= n.applied() {
		return nil, nil
	}
	if _, err := fsm.RestoreSnapshot(n.disk, dir, &stream, fsm.Options{Logger: quiet, CacheBytes: 4 << 20}); err != nil {
		return nil, err
	}
	root, err := n.disk.OpenDir("/")
	if err == nil {
		err = errors.Join(root.Sync(), root.Close())
	}
	if err != nil {
		return nil, err
	}
	ghost, n.dir, n.machine = n.machine, dir, nil
	n.log, n.synced = append([]coreEntry(nil), from.log[:w.Index]...), int(w.Index)
	return ghost, n.open()
}

// coreRecords are the entries as the judges read them.
func coreRecords(log []coreEntry) func(func(cluster.LogRecord) error) error {
	return func(visit func(cluster.LogRecord) error) error {
		for i, e := range log {
			r := cluster.LogRecord{Index: uint64(i) + 1, Term: e.term, Data: e.data, Command: e.data != nil}
			if !r.Command {
				r.Configuration, r.Data = true, coreMembers
			}
			if err := visit(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// coreMembers is what stands in the first entry of each term.
var coreMembers = raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{
	{ID: "n1", Address: "n1:1"}, {ID: "n2", Address: "n2:1"}, {ID: "n3", Address: "n3:1"},
}})

// coreLog is engine.Log of one term.
type coreLog struct {
	w    *coreWorld
	term uint64
}

func (l *coreLog) Propose(data []byte, done func(*fsm.Result, error)) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	n := l.w.ruler()
	if n == nil || l.w.term != l.term {
		go done(nil, engine.ErrNotLeader)
		return
	}
	n.log = append(n.log, coreEntry{l.term, data})
	l.w.open[uint64(len(n.log))] = done
	select {
	case l.w.proposed <- struct{}{}:
	default:
	}
}

func (l *coreLog) VerifyLeader(context.Context) error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if n := l.w.ruler(); n == nil || l.w.term != l.term || len(l.w.reachable(n)) < l.w.majority() {
		return engine.ErrNotLeader
	}
	return nil
}
