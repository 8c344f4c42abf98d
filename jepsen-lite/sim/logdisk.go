package sim

import (
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/cluster/wal"
)

const (
	logDir = "/data/raft/log"
	// logSegment is small, so that logs go over many files, which are used again.
	logSegment = 8 << 10
)

// logDisk is a node's log and votes. The log is the product's own, on the file system that loses what was not synced.
// Votes, which are bolt's in the product, are in two images, one as the process sees it and one as it would be
// found after a power failure: a change is in the first at once, in the second when its sync ends, and is
// whole or not there.
type logDisk struct {
	*wal.Log
	life    *life
	archive *archive
	// applied is the last entry that the node's state has, and its term.
	applied func() (index, term uint64)
	// turn is held by who changes the log. Who waits for it waits in virtual time, and not for the log's mutex, whose
	// holder may be waiting for a slow disk.
	turn chan struct{}
	kept uint64 // index up to which the archive has this log; turn guards it

	mu      sync.Mutex // guards what follows
	now     map[string][]byte
	synced  map[string][]byte
	pending []vote // in now, not in synced
}

type vote struct {
	key   string
	value []byte
}

func newLogDisk(l *life, a *archive, votes map[string][]byte) *logDisk {
	if votes == nil {
		votes = map[string][]byte{}
	}
	return &logDisk{life: l, archive: a, turn: make(chan struct{}, 1), now: maps.Clone(votes), synced: votes}
}

// open opens the log on a node's files.
func (d *logDisk) open(files vfs.FS) (cluster.LogStores, error) {
	if err := files.MkdirAll(logDir, 0o755); err != nil {
		return cluster.LogStores{}, err
	}
	for dir := logDir; dir != "/"; {
		dir = path.Dir(dir)
		f, err := files.OpenDir(dir)
		if err != nil {
			return cluster.LogStores{}, err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return cluster.LogStores{}, err
		}
	}
	var err error
	if d.Log, err = wal.Open(files, logDir, wal.Options{SegmentBytes: logSegment}); err != nil {
		return cluster.LogStores{}, err
	}
	return cluster.LogStores{Log: d, Stable: d, Close: d.Log.Close}, nil
}

// crashed are the votes that are left after a crash. percent is the chance of each change that was not synced, in
// order, to be there: of a killed process all are.
func (d *logDisk) crashed(percent int, r *rand.Rand) map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := maps.Clone(d.synced)
	for _, v := range d.pending {
		if r.IntN(100) >= percent {
			break
		}
		left[v.key] = v.value
	}
	return left
}

func (d *logDisk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *logDisk) StoreLogs(logs []*raft.Log) error {
	return d.change(func() error { return d.Log.StoreLogs(logs) })
}

func (d *logDisk) DeleteRange(low, high uint64) error {
	return d.change(func() error { return d.Log.DeleteRange(low, high) })
}

func (d *logDisk) change(do func() error) error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.keep()
	return do()
}

var errNoKey = errors.New("not found") // raft compares this text

func (d *logDisk) Set(key, value []byte) error {
	v := vote{string(key), slices.Clone(value)}
	d.life.write("vote", false)
	d.mu.Lock()
	d.now[v.key] = v.value
	d.pending = append(d.pending, v)
	n := len(d.pending)
	d.mu.Unlock()
	d.sync(n)
	d.life.write("vote", true)
	return nil
}

// sync makes the first n votes that are pending last.
func (d *logDisk) sync(n int) {
	d.life.sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.life.dead() { // else its end came before that of the sync
		n = min(n, len(d.pending))
		for _, v := range d.pending[:n] {
			d.synced[v.key] = v.value
		}
		d.pending = d.pending[n:]
	}
}

func (d *logDisk) Get(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.now[string(key)]
	if !ok {
		return nil, errNoKey
	}
	return slices.Clone(v), nil
}

func (d *logDisk) SetUint64(key []byte, value uint64) error {
	return d.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

func (d *logDisk) GetUint64(key []byte) (uint64, error) {
	v, err := d.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// records are the entries of the log on a disk, in order.
func records(files vfs.FS, visit func(cluster.LogRecord) error) error {
	if _, err := files.Stat(logDir); err != nil {
		return nil // the node has never been started
	}
	log, err := wal.Open(files, logDir, wal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer log.Close()
	first, _ := log.FirstIndex() // neither fails
	last, _ := log.LastIndex()
	var all []*raft.Log
	for i := first; i != 0 && i <= last; i++ {
		e := new(raft.Log)
		if err := log.GetLog(i, e); err != nil {
			return err
		}
		all = append(all, e)
	}
	return walk(all, visit)
}

func walk(entries []*raft.Log, visit func(cluster.LogRecord) error) error {
	for _, e := range entries {
		err := visit(cluster.LogRecord{
			Index: e.Index, Term: e.Term, Data: e.Data,
			Command: e.Type == raft.LogCommand, Configuration: e.Type == raft.LogConfiguration,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
