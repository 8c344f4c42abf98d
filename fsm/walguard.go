package fsm

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walGuard ends the process in order when Pebble cannot write its own log.
//
// Left alone, Pebble panics then, at a moment when it does not hold a lock that its callers are about to
// release (rotateWAL in pebble/v2 v2.1.7): the runtime ends the process with "unlock of unlocked mutex",
// which nobody can catch, and an exit code that says "crash" of what is a full or a failing disk. So
// the error is reported before Pebble sees it. What fails while the store is opened is returned by Open.
type walGuard struct {
	vfs.FS
	opened  atomic.Bool
	onFatal func(code int, reason string)
}

const walSuffix = ".log"

func (g *walGuard) check(what string, err error) error {
	if err != nil && g.opened.Load() {
		g.onFatal(ExitStateStore, what+" the state store's log: "+err.Error())
	}
	return err
}

func (g *walGuard) Unwrap() vfs.FS { return g.FS }

func (g *walGuard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.guard(name, func() (vfs.File, error) { return g.FS.Create(name, category) })
}

func (g *walGuard) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.guard(to, func() (vfs.File, error) { return g.FS.ReuseForWrite(from, to, category) })
}

func (g *walGuard) guard(name string, open func() (vfs.File, error)) (vfs.File, error) {
	f, err := open()
	if !strings.HasSuffix(name, walSuffix) {
		return f, err
	}
	if g.check("create", err) != nil {
		return nil, err
	}
	return &walFile{f, g}, nil
}

// walFile is a file of Pebble's log.
type walFile struct {
	vfs.File
	guard *walGuard
}

func (f *walFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.guard.check("write", err)
}

func (f *walFile) Sync() error     { return f.guard.check("sync", f.File.Sync()) }
func (f *walFile) SyncData() error { return f.guard.check("sync", f.File.SyncData()) }
func (f *walFile) Close() error    { return f.guard.check("close", f.File.Close()) }

func (f *walFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.guard.check("sync", err)
}
