//go:build chaos

package inject

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fanfold/fanfold/jepsen-lite/inside"
)

// What the faults say in a node's log.
const (
	failedText = "chaos: the disk failed on order"
	fullText   = "chaos: the disk is full on order"
)

// write is asked before anything is written. It returns late, never, or with an error, as ordered. room
// says that the write needs some.
func (f *Faults) write(concerns func(inside.Disk) bool, room bool) error {
	o, _, lifted := f.current()
	if !concerns(o.Disk) {
		return nil
	}
	switch o.Disk.Does {
	case inside.Slow:
		f.slowed.Add(1)
		time.Sleep(o.Disk.Delay)
	case inside.Hang:
		f.hung.Add(1)
		<-lifted
	case inside.Error:
		f.failed.Add(1)
		return fmt.Errorf("%s: %w", failedText, syscall.EIO)
	case inside.Full:
		if room {
			f.refused.Add(1)
			return fmt.Errorf("%s: %w", fullText, syscall.ENOSPC)
		}
	}
	return nil
}

func ofState(d inside.Disk) bool { return d.State }
func ofLog(d inside.Disk) bool   { return d.Log }

// FS is the file system below the state; nil: the operating system's.
func (f *Faults) FS(under vfs.FS) vfs.FS { return f.fs(under, ofState) }

// LogFS is the file system below a log in files of its own. Of the writes that should fail with EIO half succeed, so
// that a sync fails, too: what was written may then be there or not.
func (f *Faults) LogFS() vfs.FS { return f.fs(nil, ofLog) }

func (f *Faults) fs(under vfs.FS, concerns func(inside.Disk) bool) vfs.FS {
	if under == nil {
		under = vfs.Default
	}
	return errorfs.Wrap(under, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileWriteAt:
			if o, _, _ := f.current(); o.Disk.Does == inside.Error && concerns(o.Disk) && rand.IntN(2) == 0 {
				return nil
			}
			return f.write(concerns, true)
		case errorfs.OpCreate, errorfs.OpLink, errorfs.OpMkdirAll, errorfs.OpFilePreallocate, errorfs.OpFileWrite:
			return f.write(concerns, true)
		case errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpRemove, errorfs.OpRemoveAll, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			return f.write(concerns, false)
		}
		return nil
	}))
}
