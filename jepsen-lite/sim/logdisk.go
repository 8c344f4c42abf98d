package sim

import (
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/fsm/planted"
)

// logDisk is a node's log and votes on a disk that loses what was not synced: it keeps two images, one as the
// process sees it and one as it would be found after a power failure. A transaction is in the first at once, and
// in the second when its sync ends. A transaction is whole or not there, as bolt's are.
type logDisk struct {
	life    *life
	archive *archive
	// applied is the last entry that the node's state has, and its term.
	applied func() (index, term uint64)

	mu      sync.Mutex
	now     logImage
	synced  logImage
	pending []func(*logImage) // in now, not in synced
}

// logImage is what is on a disk.
type logImage struct {
	first   uint64 // index of entries[0]
	entries []*raft.Log
	votes   map[string][]byte
}

func (i *logImage) clone() logImage {
	return logImage{first: i.first, entries: slices.Clone(i.entries), votes: maps.Clone(i.votes)}
}

// crashed is what is left after a crash. percent is the chance of each transaction that was not synced, in
// order, to be there: of a killed process all are.
func (d *logDisk) crashed(percent int, r *rand.Rand) logImage {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := d.synced.clone()
	for _, tx := range d.pending {
		if r.IntN(100) >= percent {
			break
		}
		tx(&left)
	}
	return left
}

func newLogDisk(l *life, a *archive, from logImage) *logDisk {
	if from.votes == nil {
		from.votes = map[string][]byte{}
	}
	return &logDisk{life: l, archive: a, now: from.clone(), synced: from}
}

// commit is one transaction.
func (d *logDisk) commit(what string, tx func(*logImage)) error {
	d.life.write(what, false)
	d.keep()
	d.mu.Lock()
	tx(&d.now)
	d.pending = append(d.pending, tx)
	n := len(d.pending)
	d.mu.Unlock()
	if planted.AckBeforeFsync { // as the real store has it with the bug: until the system writes it back
		time.AfterFunc(5*time.Second, func() { d.sync(n) })
	} else {
		d.sync(n)
	}
	d.life.write(what, true)
	return nil
}

// sync makes the first n transactions that are pending last.
func (d *logDisk) sync(n int) {
	d.life.sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.life.dead() { // else its end came before that of the sync
		n = min(n, len(d.pending))
		for _, done := range d.pending[:n] {
			done(&d.synced)
		}
		d.pending = d.pending[n:]
	}
}

func (d *logDisk) FirstIndex() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.now.entries) == 0 {
		return 0, nil
	}
	return d.now.first, nil
}

func (d *logDisk) LastIndex() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.now.entries) == 0 {
		return 0, nil
	}
	return d.now.first + uint64(len(d.now.entries)) - 1, nil
}

func (d *logDisk) GetLog(index uint64, to *raft.Log) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if index < d.now.first || index >= d.now.first+uint64(len(d.now.entries)) {
		return raft.ErrLogNotFound
	}
	*to = *d.now.entries[index-d.now.first]
	return nil
}

func (d *logDisk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *logDisk) StoreLogs(logs []*raft.Log) error {
	kept := make([]*raft.Log, len(logs))
	for i, l := range logs {
		c := *l
		kept[i] = &c
	}
	return d.commit("append", func(i *logImage) {
		for _, l := range kept {
			i.store(l)
		}
	})
}

// store puts an entry where its index says, as bolt does.
func (i *logImage) store(l *raft.Log) {
	switch at := int(l.Index) - int(i.first); {
	case len(i.entries) == 0:
		i.first, i.entries = l.Index, append(i.entries, l)
	case at >= 0 && at < len(i.entries):
		i.entries[at] = l
	case at == len(i.entries):
		i.entries = append(i.entries, l)
	default:
		panic("sim: a log with a hole was stored")
	}
}

func (d *logDisk) DeleteRange(low, high uint64) error {
	return d.commit("truncate", func(i *logImage) {
		last := i.first + uint64(len(i.entries)) - 1
		low, high := max(low, i.first), min(high, last)
		if len(i.entries) == 0 || high < low {
			return
		}
		if low == i.first && high < last {
			i.entries, i.first = slices.Clone(i.entries[high-low+1:]), high+1
			return
		}
		i.entries = i.entries[:low-i.first] // from the back
	})
}

var errNoKey = errors.New("not found") // raft compares this text

func (d *logDisk) Set(key, value []byte) error {
	k, v := string(key), slices.Clone(value)
	return d.commit("vote", func(i *logImage) { i.votes[k] = v })
}

func (d *logDisk) Get(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.now.votes[string(key)]
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

func (d *logDisk) stores() cluster.LogStores {
	return cluster.LogStores{Log: d, Stable: d, Close: func() error { return nil }}
}

// records are the entries that are on the disk, in order.
func (i *logImage) records(visit func(cluster.LogRecord) error) error { return walk(i.entries, visit) }

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
