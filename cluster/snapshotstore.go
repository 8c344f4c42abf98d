package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/fsm"
)

// snapshotStore is Raft's view of the state directory: the state itself is the snapshot.
//
// The usual store writes a copy of the state beside the state, and two truths about how far a node has
// come then drift apart: a snapshot that was received but never restored hides entries
// (rqlite #2747), one restored halfway applies entries twice (#2759). Here there is one truth, the
// index in the state on disk. A local snapshot is a flush; List says what is flushed; a file exists
// only while a snapshot travels between two nodes (HashiCorp Vault's way).
type snapshotStore struct {
	replica *replica
	fs      vfs.FS

	mu       sync.Mutex
	last     int
	received *raft.SnapshotMeta // a complete file, about to be restored
	sending  map[int]uint64     // index of each snapshot on its way to a follower
}

const stateSnapshot = "state" // id of the only snapshot that List knows

func newSnapshotStore(r *replica) *snapshotStore {
	return &snapshotStore{replica: r, fs: r.dir.fs, sending: map[int]uint64{}}
}

// List returns what is on disk, or nothing when nothing was flushed yet.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	w := s.replica.machine().Flushed()
	if w.Index == 0 {
		return nil, nil
	}
	meta, err := snapshotMeta(stateSnapshot, w, 0)
	if err != nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{meta}, nil
}

func snapshotMeta(id string, w fsm.Witness, size int64) (*raft.SnapshotMeta, error) {
	if len(w.Configuration) == 0 {
		return nil, fmt.Errorf("cluster: the state at index %d has no Raft configuration", w.Index)
	}
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: w.Index, Term: w.Term, Size: size,
		Configuration: raft.DecodeConfiguration(w.Configuration), ConfigurationIndex: w.ConfigurationIndex,
	}, nil
}

// Open returns a received snapshot for restoring it, or the state as a stream for a follower. The
// stream goes through a file, because Raft announces its size before its first byte.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	meta := s.received
	s.mu.Unlock()
	if meta != nil && meta.ID == id {
		f, err := s.fs.Open(s.path(id))
		return meta, f, err
	}
	return s.spool()
}

func (s *snapshotStore) spool() (*raft.SnapshotMeta, io.ReadCloser, error) {
	number, id := s.newID("outgoing")
	// What is sent is at least this far; the follower goes on from there, so the log must keep it.
	index, _ := s.replica.machine().Applied()
	s.mu.Lock()
	s.sending[number] = index
	s.mu.Unlock()
	out := &outgoing{store: s, number: number, path: s.path(id)}
	meta, err := out.fill(id)
	if err != nil {
		return nil, nil, errors.Join(err, out.Close())
	}
	return meta, out, nil
}

// lowestSending returns the index from which on the log is needed for snapshots on their way.
func (s *snapshotStore) lowestSending() (index uint64, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.sending {
		if !any || i < index {
			index, any = i, true
		}
	}
	return index, any
}

func (s *snapshotStore) newID(kind string) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return s.last, fmt.Sprintf("%s-%d", kind, s.last)
}

func (s *snapshotStore) path(id string) string { return s.replica.dir.join(id) }

// outgoing is the state on its way to a follower.
type outgoing struct {
	store  *snapshotStore
	number int
	path   string
	file   vfs.File
}

func (o *outgoing) fill(id string) (*raft.SnapshotMeta, error) {
	f, err := o.store.fs.Create(o.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	counted := &countingWriter{to: f}
	w, err := o.store.replica.writeSnapshot(counted)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if o.file, err = o.store.fs.Open(o.path); err != nil {
		return nil, err
	}
	return snapshotMeta(id, w, counted.n)
}

func (o *outgoing) Read(p []byte) (int, error) { return o.file.Read(p) }

func (o *outgoing) Close() error {
	o.store.mu.Lock()
	delete(o.store.sending, o.number)
	o.store.mu.Unlock()
	var err error
	if o.file != nil {
		err = o.file.Close()
	}
	return errors.Join(err, o.store.fs.RemoveAll(o.path))
}

type countingWriter struct {
	to io.Writer
	n  int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

// Create begins a snapshot: a local one, which localSnapshot.Persist turns into a flush, or one from
// the leader, whose bytes are written to the sink.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	_, id := s.newID("incoming")
	return &sink{store: s, meta: &raft.SnapshotMeta{
		Version: version, ID: id, Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}}, nil
}

// sink receives a snapshot into a file. It becomes the state in replica.Restore, not here: a file
// that nobody restored is nothing.
type sink struct {
	store *snapshotStore
	meta  *raft.SnapshotMeta
	file  vfs.File
	local bool // no bytes come: the state was flushed
}

func (k *sink) ID() string {
	if k.local {
		return stateSnapshot
	}
	return k.meta.ID
}

func (k *sink) Write(p []byte) (int, error) {
	if k.file == nil {
		f, err := k.store.fs.Create(k.store.path(k.meta.ID), vfs.WriteCategoryUnspecified)
		if err != nil {
			return 0, err
		}
		k.file = f
	}
	n, err := k.file.Write(p)
	k.meta.Size += int64(n)
	return n, err
}

func (k *sink) Close() error {
	if k.local {
		return nil
	}
	if k.file == nil {
		return errors.New("cluster: an empty snapshot was received")
	}
	err := errors.Join(k.file.Sync(), k.file.Close())
	if err == nil {
		k.store.mu.Lock()
		k.store.received = k.meta
		k.store.mu.Unlock()
	}
	return err
}

func (k *sink) Cancel() error {
	if k.file == nil {
		return nil
	}
	return errors.Join(k.file.Close(), k.store.fs.RemoveAll(k.store.path(k.meta.ID)))
}

// takeReceived hands over the snapshot that was received; done removes its file.
func (s *snapshotStore) takeReceived() (meta *raft.SnapshotMeta, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	meta, s.received = s.received, nil
	return meta, func() {
		if meta != nil {
			_ = s.fs.RemoveAll(s.path(meta.ID)) // what stays is removed at the next start
		}
	}
}
