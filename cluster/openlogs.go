package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster/wal"
)

// logDir is where WALLogs keeps a log, below the raft directory.
const logDir = "log"

// WALLogs is BoltLogs with the log in files of its own (package wal), which take one fdatasync for an append in place
// of two. The votes, which change once in a term, stay in bolt. A log that was begun in bolt stays there.
func WALLogs(dir string) (LogStores, error) {
	if is, err := exists(filepath.Join(dir, logFile)); err != nil {
		return LogStores{}, err
	} else if is {
		return BoltLogs(dir)
	}
	if err := makeDir(vfs.Default, dir); err != nil {
		return LogStores{}, err
	}
	if err := checkBolt(filepath.Join(dir, stableFile), stableKey); err != nil {
		return LogStores{}, err
	}
	stable, err := openBolt(filepath.Join(dir, stableFile), 0, false) // first: it excludes other processes
	if err != nil {
		return LogStores{}, err
	}
	log, err := openWAL(filepath.Join(dir, logDir), wal.Options{})
	if err != nil {
		return LogStores{}, errors.Join(err, stable.Close())
	}
	return LogStores{Log: log, Stable: stable, Close: func() error { return errors.Join(log.Close(), stable.Close()) }}, nil
}

func openWAL(path string, options wal.Options) (*wal.Log, error) {
	if !options.ReadOnly {
		if err := makeDir(vfs.Default, path); err != nil {
			return nil, err
		}
	}
	log, err := wal.Open(vfs.Default, path, options)
	if errors.Is(err, wal.ErrCorrupt) {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return log, err
}

// readableLog is a log that was opened for reading.
type readableLog interface {
	raft.LogStore
	io.Closer
}

// openReadOnly opens the log below dir, wherever it is, and changes nothing.
func openReadOnly(dir string) (readableLog, error) {
	path := filepath.Join(dir, logDir)
	if is, err := exists(path); err != nil {
		return nil, err
	} else if is {
		return openWAL(path, wal.Options{ReadOnly: true})
	}
	path = filepath.Join(dir, logFile)
	if err := checkBolt(path, logKey); err != nil {
		return nil, err
	}
	return openBolt(path, 0, true)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
