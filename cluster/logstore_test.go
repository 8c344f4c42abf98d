package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// guard wraps a store in memory; fails collects the exit codes.
func guard(t *testing.T, entries uint64) (g *guardedLog, fails *[]int) {
	store := raft.NewInmemStore()
	for index := uint64(1); index <= entries; index++ {
		if err := store.StoreLog(&raft.Log{Index: index, Term: 1}); err != nil {
			t.Fatal(err)
		}
	}
	fails = new([]int)
	fail := func(code int, _ string) { *fails = append(*fails, code) }
	return &guardedLog{LogStore: store, watch: newWatchdog(1000, testLogger(), fail), fail: fail,
		floor: func() uint64 { return 0 }, applied: func() uint64 { return 0 }}, fails
}

func bounds(t *testing.T, log raft.LogStore) string {
	first, err1 := log.FirstIndex()
	last, err2 := log.LastIndex()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

func TestGuardedLog_TruncationNeverPassesWhatIsFlushed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g, fails := guard(t, 100)
		flushed := rapid.Uint64Range(0, 100).Draw(r, "flushed")
		g.floor = func() uint64 { return flushed }
		g.applied = func() uint64 { return flushed }
		for range 3 {
			first, _ := g.FirstIndex()
			high := rapid.Uint64Range(1, 99).Draw(r, "high") // Raft keeps TrailingLogs, at least one entry
			if err := g.DeleteRange(first, high); err != nil {
				r.Fatal(err)
			}
			if first, _ := g.FirstIndex(); flushed > 0 && first > flushed || flushed == 0 && first != 1 {
				r.Fatalf("the log begins at %d, flushed is %d", first, flushed)
			}
			if last, _ := g.LastIndex(); last != 100 || len(*fails) != 0 {
				r.Fatalf("the log ends at %d, failures: %v", last, *fails)
			}
		}
	})
}

// recordingLog notes the ranges that are deleted.
type recordingLog struct {
	raft.LogStore
	ranges []string
}

func (l *recordingLog) DeleteRange(low, high uint64) error {
	l.ranges = append(l.ranges, fmt.Sprintf("%d-%d", low, high))
	return l.LogStore.DeleteRange(low, high)
}

func TestGuardedLog_TruncatesInPieces(t *testing.T) {
	const entries = 2*deleteChunk + 10
	for _, test := range []struct {
		name      string
		low, high uint64
		want      []string
		left      string
	}{
		{"the front, upwards", 1, entries - 1, []string{"1-2000", "2001-4000", "4001-4009"}, "4010-4010"},
		{"the back, downwards", 6, entries, []string{"2011-4010", "11-2010", "6-10"}, "1-5"},
		{"nothing", entries + 1, entries + 5, nil, "1-4010"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, fails := guard(t, entries)
			record := &recordingLog{LogStore: g.LogStore}
			g.LogStore, g.floor = record, func() uint64 { return entries }
			g.applied = func() uint64 { return 5 }
			if err := g.DeleteRange(test.low, test.high); err != nil || len(*fails) > 0 {
				t.Fatal(err, *fails)
			}
			if !slices.Equal(record.ranges, test.want) {
				t.Errorf("deleted %v, want %v", record.ranges, test.want)
			}
			if left := bounds(t, g); left != test.left {
				t.Errorf("left is %s, want %s", left, test.left)
			}
		})
	}
}

func TestGuardedLog_AppliedEntriesAreNotTakenBack(t *testing.T) {
	g, fails := guard(t, 20)
	g.applied = func() uint64 { return 10 }
	if err := g.DeleteRange(11, 20); err != nil || len(*fails) > 0 {
		t.Fatal(err, *fails)
	}
	if err := g.DeleteRange(10, 10); err == nil || !slices.Equal(*fails, []int{ExitInvariant}) {
		t.Errorf("error %v, exit codes %v", err, *fails)
	}
	if left := bounds(t, g); left != "1-10" {
		t.Errorf("left is %s", left)
	}
}

// failingStore fails every operation.
type failingStore struct{ raft.LogStore }

var errDisk = errors.New("input/output error")

func (failingStore) StoreLogs([]*raft.Log) error      { return errDisk }
func (failingStore) GetLog(uint64, *raft.Log) error   { return errDisk }
func (failingStore) LastIndex() (uint64, error)       { return 0, errDisk }
func (failingStore) FirstIndex() (uint64, error)      { return 0, errDisk }
func (failingStore) Set([]byte, []byte) error         { return errDisk }
func (failingStore) SetUint64([]byte, uint64) error   { return errDisk }
func (failingStore) GetUint64([]byte) (uint64, error) { return 0, errDisk }
func (failingStore) Get([]byte) ([]byte, error)       { return nil, errDisk }

func TestGuardedStores_EveryErrorIsFatal(t *testing.T) {
	var log raft.Log
	for name, use := range map[string]func(*guardedLog, *guardedStable) error{
		"StoreLogs":   func(g *guardedLog, _ *guardedStable) error { return g.StoreLogs([]*raft.Log{&log}) },
		"StoreLog":    func(g *guardedLog, _ *guardedStable) error { return g.StoreLog(&log) },
		"GetLog":      func(g *guardedLog, _ *guardedStable) error { return g.GetLog(1, &log) },
		"DeleteRange": func(g *guardedLog, _ *guardedStable) error { return g.DeleteRange(1, 2) },
		"LastIndex":   func(g *guardedLog, _ *guardedStable) error { _, err := g.LastIndex(); return err },
		"Set":         func(_ *guardedLog, s *guardedStable) error { return s.Set(nil, nil) },
		"SetUint64":   func(_ *guardedLog, s *guardedStable) error { return s.SetUint64(nil, 1) },
		"Get":         func(_ *guardedLog, s *guardedStable) error { _, err := s.Get(nil); return err },
		"GetUint64":   func(_ *guardedLog, s *guardedStable) error { _, err := s.GetUint64(nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			g, fails := guard(t, 0)
			g.LogStore = &failingStore{}
			s := &guardedStable{store: &failingStore{}, watch: g.watch, fail: g.fail}
			if err := use(g, s); !errors.Is(err, errDisk) || !slices.Equal(*fails, []int{ExitLogStore}) {
				t.Errorf("error %v, exit codes %v", err, *fails)
			}
		})
	}
}

func TestGuardedStores_WhatIsNotThereIsNoError(t *testing.T) {
	g, fails := guard(t, 1)
	if err := g.GetLog(7, new(raft.Log)); err != raft.ErrLogNotFound {
		t.Errorf("error %v", err)
	}
	stores, err := BoltLogs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close()
	s := &guardedStable{store: stores.Stable, watch: g.watch, fail: g.fail}
	if _, err := s.GetUint64([]byte("CurrentTerm")); !isKeyMissing(err) {
		t.Errorf("error %v", err)
	}
	if len(*fails) > 0 {
		t.Errorf("exit codes %v", *fails)
	}
}

func TestBoltLogs_ASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	stores, err := BoltLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close()
	// A lock of the same process excludes too: bolt locks the open file.
	if _, err := BoltLogs(dir); err == nil || !strings.Contains(err.Error(), "another process uses this data directory") {
		t.Errorf("error %v", err)
	}
}
