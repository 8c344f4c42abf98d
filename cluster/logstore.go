package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/fanfold/fanfold/fsm/planted"
)

// LogStores are a node's log and its votes. They are two stores so that a vote never waits behind a
// truncation of the log, and an interface so that another store can take bolt's place.
type LogStores struct {
	Log    raft.LogStore
	Stable raft.StableStore
	Close  func() error
}

// File names below the raft directory.
const (
	logFile    = "log.db" // the log, in bolt
	logDir     = "log"    // the log, in files of its own
	stableFile = "stable.db"
)

// openBoltLogs opens the log and the votes, in two bolt files.
//
// The list of free pages is not written with every commit: after a burst and a truncation it is
// megabytes long (hashicorp/consul #5181). It is found again by a scan when the file is opened.
func openBoltLogs(dir string) (LogStores, error) {
	if err := errors.Join(checkBolt(filepath.Join(dir, logFile), logKey), checkBolt(filepath.Join(dir, stableFile), stableKey)); err != nil {
		return LogStores{}, err
	}
	log, err := openBolt(filepath.Join(dir, logFile), logMmapBytes, false)
	if err != nil {
		return LogStores{}, err
	}
	stable, err := openBolt(filepath.Join(dir, stableFile), 0, false)
	if err != nil {
		return LogStores{}, errors.Join(err, log.Close())
	}
	return LogStores{Log: log, Stable: stable, Close: func() error { return errors.Join(log.Close(), stable.Close()) }}, nil
}

// Buckets of raft-boltdb.
const (
	logBucket    = "logs"
	stableBucket = "conf"
)

// logKey judges a key of the log file: entries have their index for a key.
func logKey(bucket string, key []byte) error {
	if bucket != logBucket || len(key) != 8 {
		return wrong("a key %q in bucket %q of the log", key, bucket)
	}
	return nil
}

// stableKey judges a key of the file of the votes: one that was damaged would look like a vote that was not given.
func stableKey(bucket string, key []byte) error {
	if bucket != stableBucket || !stableKeys[strings.TrimPrefix(string(key), summedPrefix)] {
		return wrong("a key %q in bucket %q of the votes", key, bucket)
	}
	return nil
}

// logMmapBytes is the address space (not memory) reserved for the log file: growing the map later
// must wait for readers.
const logMmapBytes = 1 << 30

func openBolt(path string, mmapBytes int, readOnly bool) (*raftboltdb.BoltStore, error) {
	options := bbolt.Options{
		Timeout:        3 * time.Second,
		NoFreelistSync: true,
		NoSync:         planted.AckBeforeFsync,
		FreelistType:   bbolt.FreelistMapType,
		ReadOnly:       readOnly,
	}
	if !readOnly {
		if err := createBolt(path, options); err != nil {
			return nil, fmt.Errorf("cluster: create %s: %w", path, err)
		}
		if ^uint(0)>>32 != 0 && runtime.GOOS != "windows" { // there the file would be as large
			options.InitialMmapSize = mmapBytes
		}
	}
	var store *raftboltdb.BoltStore
	err := sound(func() (err error) {
		store, err = raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &options})
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w (%s is locked); stop it, or give this node a directory of its own", ErrInUse, path)
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: open %s: %w", path, err)
	}
	return store, nil
}

// createBolt makes a missing file under another name first: a crash while bolt writes its first pages
// leaves something that it does not open again (etcd-io/bbolt #567).
func createBolt(path string, options bbolt.Options) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	unfinished := path + ".tmp"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	store, err := raftboltdb.New(raftboltdb.Options{Path: unfinished, BoltOptions: &options})
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return syncDir(vfs.Default, filepath.Dir(path))
}

// deleteChunk is how many entries one transaction of a truncation removes. A truncation as one
// transaction holds bolt's only writer for seconds, and appends wait.
const deleteChunk = 2000

// guardedLog is the log as Raft sees it. It watches every operation, ends the process on any error,
// cuts truncations into pieces, and refuses two of them: what the state does not have on disk must
// stay, and what was applied is never taken back.
type guardedLog struct {
	raft.LogStore
	watch *watchdog
	fail  func(code int, reason string)
	// floor is the first index that a truncation from the front must keep: the flushed index itself
	// stays, because Raft compares the entry before the first one that it sends.
	floor func() uint64
	// applied is the last index that the state has applied.
	applied func() uint64
	// bytes counts what is stored; nil: nobody asks.
	bytes *logBytes
}

func (g *guardedLog) StoreLog(log *raft.Log) error { return g.StoreLogs([]*raft.Log{log}) }

func (g *guardedLog) StoreLogs(logs []*raft.Log) error {
	defer g.watch.begin("append to the log", ExitLogStore)()
	if err := g.check("append to the log", g.LogStore.StoreLogs(logs)); err != nil {
		return err
	}
	if g.bytes != nil {
		g.bytes.stored(logs)
	}
	return nil
}

func (g *guardedLog) GetLog(index uint64, log *raft.Log) error {
	defer g.watch.begin("read the log", ExitLogStore)()
	err := g.LogStore.GetLog(index, log)
	if errors.Is(err, raft.ErrLogNotFound) {
		return raft.ErrLogNotFound // compared by ==
	}
	return g.check("read the log", err)
}

func (g *guardedLog) FirstIndex() (uint64, error) {
	index, err := g.LogStore.FirstIndex()
	return index, g.check("read the log's first index", err)
}

func (g *guardedLog) LastIndex() (uint64, error) {
	index, err := g.LogStore.LastIndex()
	return index, g.check("read the log's last index", err)
}

// DeleteRange removes low to high. A truncation from the front goes upwards and one from the back
// downwards, so that a crash in between leaves a log without a hole.
func (g *guardedLog) DeleteRange(low, high uint64) error {
	first, err := g.FirstIndex()
	if err != nil {
		return err
	}
	last, err := g.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	low, high = max(low, first), min(high, last)
	if high < low {
		return nil
	}
	if high == last {
		return g.deleteBack(low, high)
	}
	return g.deleteFront(low, high)
}

func (g *guardedLog) deleteFront(low, high uint64) error {
	floor := g.floor()
	if floor == 0 {
		return nil
	}
	for high = min(high, floor-1); low <= high; low += deleteChunk {
		if err := g.deleteSome(low, min(high, low+deleteChunk-1)); err != nil {
			return err
		}
	}
	return nil
}

func (g *guardedLog) deleteBack(low, high uint64) error {
	if applied := g.applied(); low <= applied {
		err := fmt.Errorf("cluster: Raft wants to remove entries from %d on, but %d is applied", low, applied)
		g.fail(ExitInvariant, err.Error())
		return err
	}
	return deleteDownwards(g.deleteSome, low, high)
}

func (g *guardedLog) deleteSome(low, high uint64) error {
	defer g.watch.begin("truncate the log", ExitLogStore)()
	return g.check("truncate the log", g.LogStore.DeleteRange(low, high))
}

func deleteDownwards(del func(low, high uint64) error, low, high uint64) error {
	for high >= low && high > 0 {
		from := low
		if high-low >= deleteChunk {
			from = high - deleteChunk + 1
		}
		if err := del(from, high); err != nil {
			return err
		}
		high = from - 1
	}
	return nil
}

// check ends the process on an error. After a failed append Raft's idea of its last entry is wrong
// (a known gap in hashicorp/raft), and after a failed fsync the disk's answers mean nothing.
func (g *guardedLog) check(what string, err error) error {
	if planted.SwallowError {
		return nil
	}
	if err != nil {
		g.fail(exitOf(err, ExitLogStore), what+": "+err.Error())
	}
	return err
}
