package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/fsm"
)

// replica is this node's copy of the state: raft.BatchingFSM over an fsm.Machine. Raft calls
// ApplyBatch, Snapshot and Restore from one goroutine; the other methods are safe from any.
//
// Raft's configuration entries arrive in ApplyBatch too and are stored with their index, so that the
// flushed state is a complete snapshot (raft.ConfigurationStore, which has no term, is not needed).
type replica struct {
	dir     *stateDir
	options fsm.Options
	logger  *slog.Logger
	watch   *watchdog
	fail    func(code int, reason string)
	applied func() // called after commands were applied

	mu      sync.RWMutex
	current *fsm.Machine
	broken  bool // a write failed: nothing is applied any more

	closing chan struct{}
	retired sync.WaitGroup // machines that were replaced and are closed after a while
}

func openReplica(dir *stateDir, options fsm.Options, logger *slog.Logger, watch *watchdog, fail func(int, string)) (*replica, error) {
	now, err := dir.current()
	if err != nil {
		return nil, err
	}
	machine, err := fsm.Open(dir.fs, dir.join(now.name()), options)
	if err != nil {
		return nil, err
	}
	if err := syncDir(dir.fs, dir.path); err != nil {
		return nil, errors.Join(err, machine.Close())
	}
	return &replica{dir: dir, options: options, logger: logger, watch: watch, fail: fail, current: machine, closing: make(chan struct{})}, nil
}

// machine returns the state machine in use. It is replaced when a snapshot is installed; the old one
// stays readable for retireAfter.
func (r *replica) machine() *fsm.Machine {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current
}

// Apply applies one entry.
func (r *replica) Apply(log *raft.Log) any { return r.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch applies committed entries. The response of a command is its *fsm.Result, or an error
// when this node's disk failed; then the process is ending.
func (r *replica) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	for from := 0; from < len(logs); {
		to := from
		for to < len(logs) && logs[to].Type == raft.LogCommand {
			to++
		}
		var err error
		if to > from {
			err = r.applyCommands(logs[from:to], responses[from:to])
			from = to
		} else {
			err = r.applyConfiguration(logs[from])
			from++
		}
		if err != nil {
			for i := range responses {
				responses[i] = err
			}
			return responses
		}
	}
	return responses
}

func (r *replica) applyCommands(logs []*raft.Log, responses []any) error {
	entries := make([]fsm.LogEntry, len(logs))
	for i, l := range logs {
		entries[i] = fsm.LogEntry{Index: l.Index, Term: l.Term, Data: l.Data}
	}
	var results []*fsm.Result
	err := r.write("apply to the state", func(m *fsm.Machine) (err error) {
		results, err = m.Apply(entries)
		return err
	})
	if err != nil {
		return err
	}
	for i, result := range results {
		responses[i] = result
	}
	if r.applied != nil {
		r.applied()
	}
	return nil
}

func (r *replica) applyConfiguration(l *raft.Log) error {
	if l.Type != raft.LogConfiguration {
		return fmt.Errorf("cluster: log entry %d has type %v", l.Index, l.Type)
	}
	return r.write("store the configuration", func(m *fsm.Machine) error { return m.SetConfiguration(l.Index, l.Term, l.Data) })
}

// write does one watched write; an error ends the process, and nothing is written after it.
func (r *replica) write(what string, do func(*fsm.Machine) error) error {
	r.mu.RLock()
	m, broken := r.current, r.broken
	r.mu.RUnlock()
	if broken {
		return fmt.Errorf("cluster: cannot %s: a write to the state failed before", what)
	}
	defer r.watch.begin(what, ExitStateStore)()
	err := do(m)
	if err != nil {
		r.mu.Lock()
		r.broken = true
		r.mu.Unlock()
		code := ExitStateStore
		if fsm.Corrupt(err) {
			code = ExitCorruption
		}
		if errors.Is(err, fsm.ErrFormat) { // of a newer version of the program: starting again would not help
			code = ExitVersion
		}
		r.fail(code, fmt.Sprintf("%s: %v", what, err))
	}
	return err
}

// Snapshot costs nothing: the state is the snapshot. Persist flushes it.
func (r *replica) Snapshot() (raft.FSMSnapshot, error) {
	return &localSnapshot{replica: r, of: r.machine()}, nil
}

type localSnapshot struct {
	replica *replica
	of      *fsm.Machine
}

// Persist makes the state durable. When it returns nil, Raft may cut the log (guardedLog sees to it
// that the log keeps what the flush did not reach).
func (s *localSnapshot) Persist(to raft.SnapshotSink) error {
	k, ok := to.(*sink)
	if !ok {
		return fmt.Errorf("cluster: a snapshot for %T", to)
	}
	k.local = true
	if s.replica.machine() != s.of {
		return errors.New("cluster: a snapshot from the leader has replaced the state meanwhile")
	}
	return s.replica.flush()
}

func (s *localSnapshot) Release() {}

func (r *replica) flush() error {
	return r.write("flush the state", func(m *fsm.Machine) error {
		_, err := m.Flush()
		return err
	})
}

// writeSnapshot writes the whole state as it is now.
func (r *replica) writeSnapshot(w io.Writer) (fsm.Witness, error) {
	return r.machine().WriteSnapshot(w)
}

// retireAfter is how long a replaced machine stays open for readers that hold it.
const retireAfter = 10 * time.Second

// install builds a state from a snapshot in a fresh directory and puts it in place of the current
// one. On an error nothing has changed.
func (r *replica) install(from io.Reader, index, term uint64) error {
	before, err := r.dir.current()
	if err != nil {
		return err
	}
	after := current{number: before.number + 1, installed: index}
	path := r.dir.join(after.name())
	next, err := r.build(path, from, index, term)
	if err != nil {
		return errors.Join(fmt.Errorf("cluster: the snapshot at index %d is refused, the state is as before: %w", index, err), r.dir.fs.RemoveAll(path))
	}
	if err := r.dir.flip(after); err != nil {
		r.fail(ExitStateStore, fmt.Sprintf("make the received state the current one: %v", err))
		return errors.Join(err, next.Close())
	}
	r.mu.Lock()
	old := r.current
	r.current = next
	r.mu.Unlock()
	r.retire(old, r.dir.join(before.name()))
	r.logger.Info("the leader's state is installed", "index", index, "term", term)
	return nil
}

func (r *replica) build(path string, from io.Reader, index, term uint64) (*fsm.Machine, error) {
	if err := r.dir.fs.RemoveAll(path); err != nil {
		return nil, err
	}
	w, err := fsm.RestoreSnapshot(r.dir.fs, path, from, r.options)
	if err != nil {
		return nil, err
	}
	if w.Index != index || w.Term != term {
		return nil, fmt.Errorf("it was announced as index %d of term %d, and is index %d of term %d", index, term, w.Index, w.Term)
	}
	if err := syncDir(r.dir.fs, r.dir.path); err != nil {
		return nil, err
	}
	next, err := fsm.Open(r.dir.fs, path, r.options)
	if err != nil {
		return nil, err
	}
	if ours, theirs := r.machine().ClusterID(), next.ClusterID(); ours != "" && ours != theirs {
		return nil, errors.Join(fmt.Errorf("it is of cluster %q, this node belongs to %q", theirs, ours), next.Close())
	}
	return next, nil
}

func (r *replica) retire(old *fsm.Machine, path string) {
	r.retired.Go(func() {
		select {
		case <-time.After(retireAfter):
		case <-r.closing:
		}
		if err := errors.Join(old.Close(), r.dir.fs.RemoveAll(path)); err != nil {
			r.logger.Warn("the replaced state could not be removed; the next start tries again", "error", err)
		}
	})
}

// Close flushes and closes the state.
func (r *replica) Close() error {
	close(r.closing)
	r.retired.Wait()
	defer r.watch.begin("close the state", ExitStateStore)()
	return r.machine().Close()
}
