package sim

import (
	"io"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// life is one life of a node's process, from its start to its end by a crash or in order. It is what all that
// touches the node's disk goes through, so that a crash falls between two writes.
//
// Nothing can stop the goroutines of a process in this process. What crashed therefore runs on for a moment as
// a ghost: its disk is a copy that nobody will read, and its network is gone.
type life struct {
	onWrite func(what string, count int, after bool) // by the node: it may end this life
	delay   func() time.Duration                     // of a sync of the log

	ended  atomic.Bool
	stall  sync.Mutex // guards what follows
	stuck  chan struct{}
	writes atomic.Int64
}

func (l *life) dead() bool { return l.ended.Load() }

// write marks the time before and the time after one write to the disk.
func (l *life) write(what string, after bool) {
	l.wait()
	if l.dead() {
		return
	}
	n := l.writes.Load()
	if !after {
		n = l.writes.Add(1)
	}
	l.onWrite(what, int(n), after)
}

// sync is the time that a sync of the log takes.
func (l *life) sync() {
	if d := l.delay(); d > 0 && !l.dead() {
		time.Sleep(d)
	}
}

// hang makes writes wait until release.
func (l *life) hang() {
	l.stall.Lock()
	defer l.stall.Unlock()
	if l.stuck == nil {
		l.stuck = make(chan struct{})
	}
}

func (l *life) release() {
	l.stall.Lock()
	defer l.stall.Unlock()
	if l.stuck != nil {
		close(l.stuck)
		l.stuck = nil
	}
}

func (l *life) wait() {
	l.stall.Lock()
	stuck := l.stuck
	l.stall.Unlock()
	if stuck != nil {
		<-stuck
	}
}

// stateDisk is the file system below a node's state.
type stateDisk struct {
	*vfs.MemFS
	life *life
}

func (d *stateDisk) Unwrap() vfs.FS { return d.MemFS }

// crashed is what is left of the files after a crash: each block that was not synced is there with a chance of
// percent.
func (d *stateDisk) crashed(percent int, r *rand.Rand) *vfs.MemFS {
	return d.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
}

func (d *stateDisk) around(what string, do func() error) error {
	d.life.write(what, false)
	err := do()
	d.life.write(what, true)
	return err
}

func (d *stateDisk) file(what, name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	_ = d.around(what+sort(name), func() error { f, err = open(); return err })
	if err != nil {
		return nil, err
	}
	return &stateFile{f, d, sort(name)}, nil
}

// sort is what a file is for, after a blank.
func sort(name string) string {
	base := path.Base(name)
	switch ext := path.Ext(base); {
	case strings.HasPrefix(base, "MANIFEST"), strings.HasPrefix(base, "OPTIONS"), strings.HasPrefix(base, "marker."):
		return " " + base[:strings.IndexAny(base, "-.")]
	case strings.HasPrefix(base, "incoming"), strings.HasPrefix(base, "outgoing"):
		return " snapshot"
	case strings.HasPrefix(base, "CURRENT"):
		return " CURRENT"
	case strings.HasPrefix(name, logDir+"/"):
		return " log"
	case ext == ".sst", ext == ".log":
		return " " + strings.Replace(ext[1:], "log", "wal", 1)
	case strings.HasPrefix(base, "node.json"):
		return " node.json"
	case len(base) == 6:
		return " directory"
	}
	return " file"
}

func (d *stateDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file("create", name, func() (vfs.File, error) { return d.MemFS.Create(name, c) })
}

func (d *stateDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.file("open", name, func() (vfs.File, error) { return d.MemFS.OpenReadWrite(name, c, o...) })
}

func (d *stateDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file("reuse", to, func() (vfs.File, error) { return d.MemFS.ReuseForWrite(from, to, c) })
}

func (d *stateDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.MemFS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &stateFile{f, d, " directory"}, nil
}

func (d *stateDisk) Link(from, to string) error {
	return d.around("link"+sort(to), func() error { return d.MemFS.Link(from, to) })
}

func (d *stateDisk) Rename(from, to string) error {
	return d.around("rename"+sort(to), func() error { return d.MemFS.Rename(from, to) })
}

func (d *stateDisk) Remove(name string) error {
	return d.around("remove"+sort(name), func() error { return d.MemFS.Remove(name) })
}

func (d *stateDisk) RemoveAll(name string) error {
	return d.around("remove"+sort(name), func() error { return d.MemFS.RemoveAll(name) })
}

func (d *stateDisk) MkdirAll(name string, perm os.FileMode) error {
	return d.around("mkdir"+sort(name), func() error { return d.MemFS.MkdirAll(name, perm) })
}

func (d *stateDisk) Lock(name string) (io.Closer, error) { return d.MemFS.Lock(name) }

type stateFile struct {
	vfs.File
	disk *stateDisk
	sort string
}

func (f *stateFile) Write(p []byte) (n int, err error) {
	_ = f.disk.around("write"+f.sort, func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *stateFile) WriteAt(p []byte, at int64) (n int, err error) {
	_ = f.disk.around("write"+f.sort, func() error { n, err = f.File.WriteAt(p, at); return err })
	return n, err
}

func (f *stateFile) Sync() error { return f.disk.around("sync"+f.sort, f.File.Sync) }

// SyncData takes its time: it is what an append to Raft's log waits for.
func (f *stateFile) SyncData() error {
	return f.disk.around("sync"+f.sort, func() error {
		if f.sort == " log" {
			f.disk.life.sync()
		}
		return f.File.SyncData()
	})
}

func (f *stateFile) SyncTo(length int64) (full bool, err error) {
	_ = f.disk.around("sync"+f.sort, func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}
