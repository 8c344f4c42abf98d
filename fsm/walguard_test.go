package fsm

import (
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fullFS refuses new files and writes of Pebble's own log when it is full.
type fullFS struct {
	vfs.FS
	full atomic.Bool
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if f.full.Load() && strings.HasSuffix(name, ".log") {
		return nil, syscall.ENOSPC
	}
	file, err := f.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return &fullFile{file, f}, nil
}

func (f *fullFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if f.full.Load() {
		return nil, syscall.ENOSPC
	}
	return f.FS.ReuseForWrite(from, to, category)
}

// Pebble panics without the lock that its caller then unlocks, when it cannot make the next file of its
// log: the process would end in the middle of that, with a crash's code.
func TestFlush_OnAFullDiskIsReportedBeforePebbleCrashes(t *testing.T) {
	disk := &fullFS{FS: vfs.NewMem()}
	reported := make(chan int, 1)
	m, err := Open(disk, "state", Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		OnFatal: func(code int, _ string) {
			select {
			case reported <- code:
			default:
			}
			select {} // it must not return
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetConfiguration(1, 1, []byte("configuration")); err != nil {
		t.Fatal(err)
	}
	disk.full.Store(true)
	go func() { _, _ = m.Flush() }()
	select {
	case code := <-reported:
		if code != ExitStateStore {
			t.Errorf("reported with code %d, not %d", code, ExitStateStore)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("a flush on a full disk was not reported")
	}
}
