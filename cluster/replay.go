package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

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
	path := filepath.Join(dataDir, "raft", logFile)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("cluster: %s is no data directory of a node: %w", dataDir, err)
	}
	lock, err := lockDataDir(vfs.Default, dataDir)
	if err != nil {
		return nil, err
	}
	store, err := openBolt(path, 0, true)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	replayed, err := replay(ctx, store, logger)
	return replayed, errors.Join(err, store.Close(), lock.Close())
}

func replay(ctx context.Context, log raft.LogStore, logger *slog.Logger) (_ *Replay, err error) {
	r := &Replay{}
	if r.First, err = log.FirstIndex(); err != nil {
		return nil, err
	}
	if r.Last, err = log.LastIndex(); err != nil {
		return nil, err
	}
	if r.First > 1 {
		return nil, fmt.Errorf("cluster: the log begins at index %d, what was before is only in the state: it cannot be replayed from nothing", r.First)
	}
	machine, err := fsm.Open(vfs.NewMem(), "replay", fsm.Options{
		Logger: logger,
		OnHash: func(h fsm.HashResult) { r.Hashes = append(r.Hashes, h) },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, machine.Close()) }()
	for index := uint64(1); index <= r.Last; index++ {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return nil, fmt.Errorf("cluster: log entry %d: %w", index, err)
		}
		switch entry.Type {
		case raft.LogCommand:
			r.Commands++
			_, err = machine.Apply([]fsm.LogEntry{{Index: entry.Index, Term: entry.Term, Data: entry.Data}})
		case raft.LogConfiguration:
			err = machine.SetConfiguration(entry.Index, entry.Term, entry.Data)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, fmt.Errorf("cluster: replay entry %d: %w", index, err)
		}
	}
	return r, nil
}
