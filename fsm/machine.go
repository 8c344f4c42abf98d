package fsm

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/btree"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/planted"
)

// Options configure a Machine. The zero value of each field means its default.
type Options struct {
	// Logger for the store's events. Default slog.Default().
	Logger *slog.Logger
	// DisableWAL turns Pebble's own log off: the Raft log is the write-ahead log. Default off, see
	// docs/decisions/0003-pebble-wal.md. It must not change while a directory holds unflushed state.
	DisableWAL bool
	// CacheBytes bounds Pebble's memory: its block cache and, out of the same budget, its memtables of
	// 64 MiB, two as a rule and three at most. Default 224 MiB; below 160 MiB little is left for blocks.
	CacheBytes int64
	// CheckInvariants recomputes every invariant after each Apply, and panics. For tests: it reads all.
	CheckInvariants bool
	// OnFatal is called when the store cannot go on, with an exit code; it must not return. Default: panic.
	OnFatal func(code int, reason string)
	// OnHash is told the state hash that a HashState command asked for. It is called by Apply, from a
	// goroutine of its own if Background runs it in one.
	OnHash func(HashResult)
	// Sleep lets the store pause while it writes tables, so that clients do not wait for it. Default: it makes no pauses.
	Sleep func(time.Duration)
	// Uptime is a clock that does not go back. The pauses are as long as it says that work took; nothing else reads it.
	// It must be there when Sleep is.
	Uptime func() time.Duration
	// Background runs the hashing of a snapshot beside Apply. Default: at once, in Apply.
	Background func(func())
}

// Machine is the replicated state: Apply is its only way to change. Reads go through View, at any
// time, from any goroutine.
type Machine struct {
	db   *pebble.DB
	pace *pace
	disk disk
	opts Options

	// What follows belongs to the goroutine that calls Apply.

	state      state
	names      names
	limits     []*limit // by id, ascending
	hooks      hooks
	parts      map[uint64]*partition
	sessions   map[uint64]*session
	nonces     map[string]uint64 // of sessions
	timers     *window
	checks     []uint32 // queues that match looks at, ascending
	again      []uint32 // queues that were marked since match began its round
	taskLimits int      // limits of scope TASK
	pauses     map[pauseKey]int64
	expiries   *btree.BTreeG[expiry]
	wakes      *btree.BTreeG[*wake]
	sharing    []*session // with shared slots, by id
	tx         *tx

	// Caches of what the state says.

	jobs        map[JobID]*job
	cachedSteps int // of jobs, at most

	plans   map[planKey]*plan
	decoded map[graphHash]*dag.Graph
	lists   map[TaskRef]*dag.List

	schedules map[[2]string]*schedule // by namespace and name
	free      []*slotGroup
	groups    []*slotGroup
	recent    recent
	lastGraph []byte    // of the last submission
	lastHash  graphHash // its hash
	picks     []pick

	graphs graphCache // for readers

	// reads is held shared by every read that opens no View, and by Close alone: a store must not close
	// under a read. closed is guarded by it.
	reads  sync.RWMutex
	closed bool

	mu      sync.Mutex // guards what follows
	applied Witness    // Configuration left out
	flushed Witness
	cluster [16]byte
	conf    []byte
	confIdx uint64
	wake    chan struct{} // closed and replaced when applied moves
}

// Open opens the state in dir, or begins it. All memory state is rebuilt from what is stored.
func Open(fs vfs.FS, dir string, o Options) (m *Machine, err error) {
	defer catch(&err)
	p := &pace{FS: fs, sleep: o.Sleep, uptime: o.Uptime}
	db, err := openPebble(p, dir, &o)
	if err != nil {
		return nil, fmt.Errorf("fsm: open the state in %s: %w", dir, err)
	}
	m = &Machine{
		db: db, pace: p, disk: disk{db}, opts: o,
		names: newNames(), sessions: make(map[uint64]*session), nonces: make(map[string]uint64),
		timers: newWindow(timerWindow), parts: make(map[uint64]*partition),
		pauses: make(map[pauseKey]int64), expiries: newExpiries(), wakes: newWakes(),
		jobs: make(map[JobID]*job), plans: make(map[planKey]*plan),
		decoded: make(map[graphHash]*dag.Graph), lists: make(map[TaskRef]*dag.List),
		schedules: make(map[[2]string]*schedule),
		wake:      make(chan struct{}),
	}
	defer func() {
		if m == nil || err != nil {
			db.Close()
		}
	}()
	m.load()
	if _, err := m.Flush(); err != nil {
		return nil, err
	}
	return m, nil
}

// catch turns a fault into an error.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case fault:
		*err = r.err
	default:
		panic(r)
	}
}

// begin starts a call of Apply, or the next batch of one.
func (m *Machine) begin() {
	m.tx = &tx{
		m: m, changes: make(map[string]*change), tasks: make(map[TaskRef]*heldTask),
		touched: make(map[JobID]bool),
	}
}

const (
	// jobCacheMax and jobCacheSteps bound the jobs that are kept decoded between calls; at the bound the
	// cache is emptied. A step takes about 100 bytes.
	jobCacheMax   = 4096
	jobCacheSteps = 200_000
)

// commit writes what the call has changed, the applied index with it, and lets readers see it.
func (m *Machine) commit() {
	t := m.tx
	b := m.db.NewBatch()
	t.flush(b)
	if planted.IndexSplit {
		b = m.splitBatch(b)
	}
	must(b.Set(keyState(), m.state.encode(), nil))
	must(m.write(b))
	for _, j := range t.jobs {
		if j.purged && m.jobs[j.id] == j {
			delete(m.jobs, j.id)
		}
	}
	for _, j := range t.loaded {
		m.cachedSteps += len(j.steps)
	}
	if len(m.jobs) > jobCacheMax || m.cachedSteps > jobCacheSteps {
		clear(m.jobs)
		m.cachedSteps = 0
	}
	m.tx = nil
	m.publish()
	if m.opts.CheckInvariants {
		if err := m.Check(); err != nil {
			panic(fmt.Sprintf("fsm: after index %d: %v", m.state.index, err))
		}
	}
}

func (m *Machine) write(b *pebble.Batch) error {
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("fsm: write: %w", err)
	}
	return b.Close()
}

func (m *Machine) publish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = Witness{Index: m.state.index, Term: m.state.term}
	m.cluster = m.state.cluster
	close(m.wake)
	m.wake = make(chan struct{})
}

// Applied is the last applied index and its term, after the write to Pebble.
func (m *Machine) Applied() (index, term uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied.Index, m.applied.Term
}

// ClusterID is the cluster's id in hex, "" before InitCluster.
func (m *Machine) ClusterID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cluster == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(m.cluster[:])
}

// WaitApplied returns when the applied index has reached index, or ctx is done.
func (m *Machine) WaitApplied(ctx context.Context, index uint64) error {
	for {
		m.mu.Lock()
		now, wake := m.applied.Index, m.wake
		m.mu.Unlock()
		if now >= index {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SetConfiguration stores Raft's configuration with the applied index. It is called in log order, by
// the goroutine that calls Apply.
func (m *Machine) SetConfiguration(index, term uint64, conf []byte) (err error) {
	defer catch(&err)
	if index <= m.confIdx {
		return nil
	}
	b := m.db.NewBatch()
	if index > m.state.index {
		m.state.index, m.state.term = index, term
	}
	must(b.Set(keyConf(), encodeConf(index, conf), nil))
	must(b.Set(keyState(), m.state.encode(), nil))
	must(m.write(b))
	m.mu.Lock()
	m.conf, m.confIdx = bytes.Clone(conf), index
	m.mu.Unlock()
	m.publish()
	return nil
}

func encodeConf(index uint64, conf []byte) []byte {
	e := newEnc(len(conf) + 16)
	e.uint(index)
	e.bytes(conf)
	return e
}

func decodeConf(b []byte) (index uint64, conf []byte) {
	d := newDec("configuration", b)
	index, conf = d.uint(), d.bytes()
	d.end()
	return index, conf
}

// Flush makes everything applied so far durable and says how far that is. Only what Flush has
// returned is a promise; the log must keep everything after it.
func (m *Machine) Flush() (Witness, error) {
	m.mu.Lock()
	w := m.applied
	w.Configuration, w.ConfigurationIndex = m.conf, m.confIdx
	m.mu.Unlock()
	if err := m.db.Flush(); err != nil && !errors.Is(err, pebble.ErrClosed) {
		return Witness{}, fmt.Errorf("fsm: flush: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.Index >= m.flushed.Index {
		m.flushed = w
	}
	return m.flushed, nil
}

// Flushed is what the last Flush returned.
func (m *Machine) Flushed() Witness {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flushed
}

// Close flushes and closes the store. Apply must not run, and every View must be closed; other reads are
// waited for, and later ones end with pebble.ErrClosed.
func (m *Machine) Close() error {
	m.pace.closing.Store(true)
	_, err := m.Flush()
	m.reads.Lock()
	defer m.reads.Unlock()
	m.closed = true
	return errors.Join(err, m.db.Close())
}

// enter begins a read without a View; the caller ends it by m.reads.RUnlock. It returns
// pebble.ErrClosed, and nothing is to be ended, when the machine is closed.
func (m *Machine) enter() error {
	m.reads.RLock()
	if m.closed {
		m.reads.RUnlock()
		return pebble.ErrClosed
	}
	return nil
}
