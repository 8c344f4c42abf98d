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

// logPlace is a kind of place for a log: the name that flags have for it.
type logPlace string

const (
	inFiles logPlace = "wal"  // package wal: one fdatasync for an append
	inBolt  logPlace = "bolt" // two
)

// begunIn decides where the log below a raft directory is: a log stays where it was begun, and `none` is where one
// is begun. It is the only place that decides.
func begunIn(dir string, none logPlace) (logPlace, error) {
	files, err := exists(filepath.Join(dir, logDir))
	if err != nil {
		return "", err
	}
	bolt, err := exists(filepath.Join(dir, logFile))
	if err != nil {
		return "", err
	}
	switch {
	case files && bolt:
		return "", fmt.Errorf("cluster: %s: %w", dir, wrong("it holds two logs, %s and %s, and nothing tells which of them is the node's: if you have put one of them there, move it away", logFile, logDir))
	case files:
		return inFiles, nil
	case bolt:
		return inBolt, nil
	}
	return none, nil
}

// WALLogs opens the log and the votes in dir, and begins them where there are none: the log in files of its own
// (package wal), the votes, which change once in a term, in bolt. A log that was begun in bolt stays there.
func WALLogs(dir string) (LogStores, error) {
	return openLogs(dir, inFiles, vfs.Default, wal.Options{})
}

// WALLogsOn is WALLogs with the log's files on fs and in segments of so many bytes (0: the default), for tests. It
// must be a view of the operating system's files: the votes are there.
func WALLogsOn(fs vfs.FS, segmentBytes int64) func(dir string) (LogStores, error) {
	return func(dir string) (LogStores, error) {
		return openLogs(dir, inFiles, fs, wal.Options{SegmentBytes: segmentBytes})
	}
}

// BoltLogs is WALLogs, but begins a log in bolt.
func BoltLogs(dir string) (LogStores, error) {
	return openLogs(dir, inBolt, vfs.Default, wal.Options{})
}

// LogsIn is WALLogs for "wal" and "", and BoltLogs for "bolt".
func LogsIn(name string) (func(dir string) (LogStores, error), error) {
	switch logPlace(name) {
	case inFiles, "":
		return WALLogs, nil
	case inBolt:
		return BoltLogs, nil
	}
	return nil, fmt.Errorf("cluster: there is no log store %q: %s or %s", name, inFiles, inBolt)
}

func openLogs(dir string, none logPlace, fs vfs.FS, o wal.Options) (LogStores, error) {
	place, err := begunIn(dir, none)
	if err != nil {
		return LogStores{}, err
	}
	if err := makeDir(vfs.Default, dir); err != nil {
		return LogStores{}, err
	}
	if place == inBolt {
		return openBoltLogs(dir)
	}
	return openWALLogs(dir, fs, o)
}

func openWALLogs(dir string, fs vfs.FS, o wal.Options) (LogStores, error) {
	if err := checkBolt(filepath.Join(dir, stableFile), stableKey); err != nil {
		return LogStores{}, err
	}
	stable, err := openBolt(filepath.Join(dir, stableFile), 0, false) // first: it excludes other processes
	if err != nil {
		return LogStores{}, err
	}
	log, err := openWAL(fs, filepath.Join(dir, logDir), o)
	if err != nil {
		return LogStores{}, errors.Join(err, stable.Close())
	}
	return LogStores{Log: log, Stable: stable, Close: func() error { return errors.Join(log.Close(), stable.Close()) }}, nil
}

func openWAL(fs vfs.FS, path string, options wal.Options) (*wal.Log, error) {
	if !options.ReadOnly {
		if err := makeDir(fs, path); err != nil {
			return nil, err
		}
	}
	log, err := wal.Open(fs, path, options)
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
	place, err := begunIn(dir, inBolt)
	if err != nil {
		return nil, err
	}
	if place == inFiles {
		return openWAL(vfs.Default, filepath.Join(dir, logDir), wal.Options{ReadOnly: true})
	}
	path := filepath.Join(dir, logFile)
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
