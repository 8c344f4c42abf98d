package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/fsm"
)

// Replay is what replaying a log into an empty machine gave.
type Replay struct {
	First, Last uint64 // indexes of the log
	Commands    int    // entries that carry commands
	Hashes      []fsm.HashResult
}

// ReplayLog replays the log of a stopped node into an empty state machine in memory and reports the
// state hash at every HashState command: law 11, the same index gives the same hash on every replica
// and from an empty directory. The node's own state is not read, and nothing is changed.
//
// The log must begin at its beginning: TrailingLogs decides how much of it a node keeps. Entries at
// the end may never have been committed; a hash that some node reported is of a committed one.
func ReplayLog(ctx context.Context, dataDir string, logger *slog.Logger) (*Replay, error) {
	r := &Replay{}
	machine, err := fsm.Open(vfs.NewMem(), "replay", fsm.Options{
		Logger: logger,
		OnHash: func(h fsm.HashResult) { r.Hashes = append(r.Hashes, h) },
	})
	if err != nil {
		return nil, err
	}
	err = WalkLog(ctx, dataDir, func(e LogRecord) error {
		if e.Index == 1 {
			r.First = 1
		} else if r.First == 0 {
			return fmt.Errorf("cluster: the log begins at index %d, what was before is only in the state: it cannot be replayed from nothing", e.Index)
		}
		r.Last = e.Index
		if e.Command {
			r.Commands++
		}
		_, err := e.Apply(machine)
		return err
	})
	return r, errors.Join(err, machine.Close())
}

// LogRecord is an entry of a node's log: a command for the state machine, a configuration of Raft, or one
// that concerns Raft alone.
type LogRecord struct {
	Index, Term   uint64
	AppendedAt    time.Time `json:",omitzero"` // when its leader appended it
	Command       bool
	Configuration bool
	Data          []byte // of a command, what fsm.DecodeEntry reads
}

// Apply applies the record to a machine that has applied all before it. The result is nil for what is no
// command.
func (e LogRecord) Apply(m *fsm.Machine) (*fsm.Result, error) {
	switch {
	case e.Command:
		results, err := m.Apply([]fsm.LogEntry{{Index: e.Index, Term: e.Term, Data: e.Data}})
		if err != nil {
			return nil, fmt.Errorf("cluster: replay entry %d: %w", e.Index, err)
		}
		return results[0], nil
	case e.Configuration:
		return nil, m.SetConfiguration(e.Index, e.Term, e.Data)
	}
	return nil, nil
}

// WalkLog calls visit for every entry in the log of a stopped node, in order, until it returns an error.
// Entries at the end may never have been committed. Nothing is changed.
func WalkLog(ctx context.Context, dataDir string, visit func(LogRecord) error) error {
	path := filepath.Join(dataDir, "raft")
	if _, err := os.Stat(filepath.Join(path, stableFile)); err != nil {
		return fmt.Errorf("cluster: %s is no data directory of a node: %w", dataDir, err)
	}
	lock, err := lockDataDir(vfs.Default, dataDir)
	if err != nil {
		return err
	}
	store, err := openReadOnly(path)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	return errors.Join(walk(ctx, &checkedLog{store}, visit), store.Close(), lock.Close())
}

func walk(ctx context.Context, log raft.LogStore, visit func(LogRecord) error) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	for index := max(first, 1); index <= last; index++ {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return fmt.Errorf("cluster: log entry %d: %w", index, err)
		}
		err := visit(LogRecord{
			Index: entry.Index, Term: entry.Term, AppendedAt: entry.AppendedAt, Data: entry.Data,
			Command: entry.Type == raft.LogCommand, Configuration: entry.Type == raft.LogConfiguration,
		})
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}
