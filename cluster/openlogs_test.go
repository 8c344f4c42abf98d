package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func store(t testing.TB, log raft.LogStore, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		if err := log.StoreLog(&raft.Log{Index: i, Term: 1, Data: fmt.Append(nil, "entry ", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWALLogs_ALogInBoltStaysInBolt(t *testing.T) {
	dir := t.TempDir()
	stores, err := BoltLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	store(t, stores.Log, 1, 3)
	if err := stores.Close(); err != nil {
		t.Fatal(err)
	}
	if stores, err = WALLogs(dir); err != nil {
		t.Fatal(err)
	}
	store(t, stores.Log, 4, 4)
	if left := bounds(t, stores.Log); left != "1-4" {
		t.Errorf("the log is %s", left)
	}
	if err := stores.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, logDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a second log was made: %v", err)
	}
	old, err := openReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	if left := bounds(t, old); left != "1-4" {
		t.Errorf("the log is %s", left)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBoltLogs_ALogInFilesStaysThere(t *testing.T) {
	dir := t.TempDir()
	stores, err := WALLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	store(t, stores.Log, 1, 3)
	if err := stores.Close(); err != nil {
		t.Fatal(err)
	}
	if stores, err = BoltLogs(dir); err != nil {
		t.Fatal(err)
	}
	if left := bounds(t, stores.Log); left != "1-3" {
		t.Errorf("the log is %s", left)
	}
	if err := stores.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLogs_TwoOfThemAreRefused(t *testing.T) {
	dir := t.TempDir()
	raftDir := filepath.Join(dir, "raft")
	for _, begin := range []func(string) (LogStores, error){WALLogs, BoltLogs} {
		stores, err := begin(raftDir)
		if err != nil {
			t.Fatal(err)
		}
		store(t, stores.Log, 1, 3)
		if err := stores.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(raftDir, logDir), filepath.Join(raftDir, "kept")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(raftDir, "kept"), filepath.Join(raftDir, logDir)); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() error{
		"WALLogs":      func() error { _, err := WALLogs(raftDir); return err },
		"BoltLogs":     func() error { _, err := BoltLogs(raftDir); return err },
		"openReadOnly": func() error { _, err := openReadOnly(raftDir); return err },
		"WalkLog": func() error {
			return WalkLog(t.Context(), dir, func(LogRecord) error { return nil })
		},
	} {
		err := open()
		if exitOf(err, ExitLogStore) != ExitCorruption || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestLogsIn_KnowsTheNamesOfFlags(t *testing.T) {
	for name, file := range map[string]string{"": logDir, "wal": logDir, "bolt": logFile} {
		open, err := LogsIn(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		stores, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := stores.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := LogsIn("paper"); err == nil {
		t.Error("there is a log store of paper")
	}
}

func TestWALLogs_DamageIsCode75(t *testing.T) {
	dir := t.TempDir()
	stores, err := WALLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	store(t, stores.Log, 1, 9)
	if err := stores.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, logDir, "0000000000000001.wal")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[48+48+3] ^= 1 // in the data of the first entry, behind two headers
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = WALLogs(dir)
	if exitOf(err, ExitLogStore) != ExitCorruption {
		t.Errorf("error %v", err)
	}
}

// BenchmarkAppend compares the two places of a log: an append of one entry, as large as 1, 100 and 1,000 commands.
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(string) (LogStores, error)
	}{{"bolt", BoltLogs}, {"wal", WALLogs}} {
		for _, size := range []int{300, 30_000, 300_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				stores, err := kind.open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				defer stores.Close()
				data := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for i := uint64(1); b.Loop(); i++ {
					if err := stores.Log.StoreLog(&raft.Log{Index: i, Term: 1, Data: data}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
