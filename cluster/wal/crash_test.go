package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// cutting is a file system whose power may fail at each step of an operation: between a write and the
// sync after it, and around a rename, a removal and the sync of a directory.
type cutting struct {
	*vfs.MemFS
	step func()
}

type cuttingFile struct {
	vfs.File
	step func()
}

func (c cutting) OpenReadWrite(name string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	c.step()
	f, err := c.MemFS.OpenReadWrite(name, k, o...)
	return cuttingFile{f, c.step}, err
}

func (c cutting) OpenDir(name string) (vfs.File, error) {
	f, err := c.MemFS.OpenDir(name)
	return cuttingFile{f, c.step}, err
}

func (c cutting) Rename(from, to string) error { c.step(); return c.MemFS.Rename(from, to) }
func (c cutting) Remove(name string) error     { c.step(); return c.MemFS.Remove(name) }

func (f cuttingFile) Sync() error     { f.step(); return f.File.Sync() }
func (f cuttingFile) SyncData() error { f.step(); return f.File.SyncData() }
func (f cuttingFile) WriteAt(b []byte, at int64) (int, error) {
	f.step()
	return f.File.WriteAt(b, at)
}

// model is what a log was told to hold.
type model struct {
	entries []*raft.Log // acknowledged
	pending []*raft.Log // the append that the power cut may have hit
	cut     int         // how many entries the cut under way leaves; -1: none is
	floor   uint64      // what is before was removed from the front; it may be there again
}

// TestCrash_NothingAcknowledgedIsLost loses power, with a random part of what was not synced, in the middle of
// random operations, opens what is left, and goes on with it, for many lives.
func TestCrash_NothingAcknowledgedIsLost(t *testing.T) {
	torn, lives := 0, 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		disk, m := fresh(t), &model{cut: -1}
		for range 12 {
			var left *vfs.MemFS
			unsynced := rng.IntN(101)
			budget := 1 + rng.IntN(120)
			fs := cutting{disk, func() {
				if budget--; budget == 0 {
					left = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
				}
			}}
			l, err := Open(fs, "log", Options{SegmentBytes: 20_000})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for left == nil {
				if err := m.step(l, rng, func() bool { return left != nil }); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			disk = left
			l, err = Open(disk, "log", Options{SegmentBytes: 20_000})
			if err != nil {
				t.Fatalf("seed %d: after the crash: %v", seed, err)
			}
			got, err := m.settle(l)
			if err != nil {
				t.Fatalf("seed %d: after the crash: %v", seed, err)
			}
			if lives++; got {
				torn++
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if torn < 3 {
		t.Errorf("%d of %d crashes left a part of an append: the test does not test", torn, lives)
	}
}

// step does one random operation. What it did counts when the power did not fail meanwhile.
func (m *model) step(l *Log, rng *rand.Rand, cut func() bool) error {
	m.pending, m.cut = nil, -1
	last := uint64(len(m.entries))
	switch p := rng.IntN(20); {
	case p < 15:
		for n := 1 + rng.IntN(5); n > 0; n-- {
			last++
			data := bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(7000))
			m.pending = append(m.pending, &raft.Log{Index: last, Term: rng.Uint64(), Data: data})
		}
		if err := l.StoreLogs(m.pending); err != nil || cut() {
			return err
		}
		m.entries, m.pending = append(m.entries, m.pending...), nil
	case p < 18 && last > m.floor+1:
		m.cut = int(m.floor) + rng.IntN(int(last-m.floor))
		if err := l.DeleteRange(uint64(m.cut)+1, last); err != nil || cut() {
			return err
		}
		m.entries, m.cut = m.entries[:m.cut], -1
	case last > m.floor+1:
		m.floor += uint64(rng.IntN(int(last - m.floor)))
		return l.DeleteRange(1, m.floor)
	}
	return nil
}

// settle compares what is left with what was acknowledged, and takes it for the truth from now on. partial: an
// append was hit, and a part of it is there.
func (m *model) settle(l *Log) (partial bool, err error) {
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	if first > m.floor+1 {
		return false, fmt.Errorf("the log begins at %d, and %d was never removed", first, m.floor+1)
	}
	for index := max(first, 1); index <= last; index++ {
		var e raft.Log
		if err := l.GetLog(index, &e); err != nil {
			return false, err
		}
		switch at := int(index) - 1; {
		case at < len(m.entries):
			if want := m.entries[at]; want.Term != e.Term || !bytes.Equal(want.Data, e.Data) {
				return false, fmt.Errorf("entry %d is another one", index)
			}
		case at < len(m.entries)+len(m.pending):
			want := m.pending[at-len(m.entries)]
			if want.Term != e.Term || !bytes.Equal(want.Data, e.Data) {
				return false, fmt.Errorf("entry %d was never written like that", index)
			}
			m.entries, m.pending = append(m.entries, want), m.pending[1:]
			partial = true
		default:
			return false, fmt.Errorf("entry %d was removed, or never written", index)
		}
	}
	switch n := max(int(last), int(m.floor)); { // an empty log begins anywhere
	case n == len(m.entries):
	case m.cut >= 0 && n == m.cut: // the cut is there
		m.entries = m.entries[:n]
	default:
		return false, fmt.Errorf("the log ends at %d of %d", n, len(m.entries))
	}
	return partial && len(m.pending) > 0, nil
}
