package cluster

import (
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// crash ends a node as a power cut does (what its disk has not synced is lost) or as SIGKILL does. It
// stays cut off.
func (w *world) crash(id string, powerCut bool, random *rand.Rand) {
	n := w.nodes[id]
	w.isolate(id)
	log := n.log.(*mortalStore)
	log.die()
	kept := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random}
	if powerCut {
		kept = vfs.CrashCloneCfg{}
	}
	disk := n.disk.(*vfs.MemFS).CrashClone(kept)
	w.stop(id)
	reborn := &mortalStore{InmemStore: log.InmemStore}
	n.disk, n.log, n.vote = disk, reborn, reborn
	n.mu.Lock()
	n.exits = nil // of the dying process, whose writes failed
	n.mu.Unlock()
}

// mortalStore is a log in memory that takes nothing more once its process is dead.
type mortalStore struct {
	*raft.InmemStore
	mu   sync.Mutex
	dead bool
}

func (s *mortalStore) die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

func (s *mortalStore) alive(write func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errDisk
	}
	return write()
}

func (s *mortalStore) StoreLogs(logs []*raft.Log) error {
	return s.alive(func() error { return s.InmemStore.StoreLogs(logs) })
}

func (s *mortalStore) DeleteRange(low, high uint64) error {
	return s.alive(func() error { return s.InmemStore.DeleteRange(low, high) })
}

func (s *mortalStore) Set(key, value []byte) error {
	return s.alive(func() error { return s.InmemStore.Set(key, value) })
}

func (s *mortalStore) SetUint64(key []byte, value uint64) error {
	return s.alive(func() error { return s.InmemStore.SetUint64(key, value) })
}
