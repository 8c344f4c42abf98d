//go:build chaos

package inject

import (
	"errors"
	"math/rand/v2"
	"syscall"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
)

// Votes opens the log and the votes. The log's disk has its faults below, by LogFS.
func (f *Faults) Votes(open func(dir string) (cluster.LogStores, error)) func(dir string) (cluster.LogStores, error) {
	return func(dir string) (cluster.LogStores, error) {
		stores, err := f.Logs(open)(dir)
		if err == nil {
			stores.Log = stores.Log.(*logStore).LogStore
		}
		return stores, err
	}
}

// Logs opens the log and the votes, of which each change is one transaction.
func (f *Faults) Logs(open func(dir string) (cluster.LogStores, error)) func(dir string) (cluster.LogStores, error) {
	return func(dir string) (cluster.LogStores, error) {
		if err := f.write(ofLog, true); err != nil {
			return cluster.LogStores{}, err
		}
		stores, err := open(dir)
		if err != nil {
			return stores, err
		}
		return cluster.LogStores{Log: &logStore{stores.Log, f}, Stable: &stableStore{stores.Stable, f}, Close: stores.Close}, nil
	}
}

// change does one transaction. One that fails with EIO may have happened: a failed fsync says nothing
// of what is on the disk.
func (f *Faults) change(do func() error) error {
	err := f.write(ofLog, true)
	if err == nil || errors.Is(err, syscall.EIO) && rand.IntN(2) == 0 {
		return errors.Join(err, do())
	}
	return err
}

type logStore struct {
	raft.LogStore
	faults *Faults
}

func (s *logStore) StoreLog(l *raft.Log) error {
	return s.faults.change(func() error { return s.LogStore.StoreLog(l) })
}

func (s *logStore) StoreLogs(l []*raft.Log) error {
	return s.faults.change(func() error { return s.LogStore.StoreLogs(l) })
}

func (s *logStore) DeleteRange(low, high uint64) error {
	return s.faults.change(func() error { return s.LogStore.DeleteRange(low, high) })
}

type stableStore struct {
	raft.StableStore
	faults *Faults
}

func (s *stableStore) Set(key, value []byte) error {
	return s.faults.change(func() error { return s.StableStore.Set(key, value) })
}

func (s *stableStore) SetUint64(key []byte, value uint64) error {
	return s.faults.change(func() error { return s.StableStore.SetUint64(key, value) })
}
