package fsm

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Exit codes of a node that cannot go on (docs/cli.md).
const (
	ExitStateStore = 72
	ExitCorruption = 75
)

// Corrupt reports whether an error says that what is on the disk is not what was written there.
func Corrupt(err error) bool { return pebble.IsCorruptionError(err) }

func openPebble(fs *pace, dir string, o *Options) (*pebble.DB, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 224 << 20
	}
	if o.OnFatal == nil {
		o.OnFatal = func(code int, reason string) { panic(fmt.Sprintf("fsm: exit %d: %s", code, reason)) }
	}
	if o.Background == nil {
		o.Background = func(f func()) { f() }
	}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	log := storeLog{o, fs}
	guard := &walGuard{FS: fs, onFatal: o.OnFatal}
	po := &pebble.Options{
		FS:                          guard,
		Cache:                       cache,
		DisableWAL:                  o.DisableWAL,
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		MemTableSize:                64 << 20, // most tasks are submitted and done within one, and reach the disk once
		WALBytesPerSync:             1 << 20,  // in small pieces: the log of Raft is on the same disk
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       8, // merges begin at four layers: a merge of more layers drops more of what is written and deleted soon after
		L0StopWritesThreshold:       24,
		MaxOpenFiles:                1000,
		Logger:                      log,
		EventListener:               log.events(),
	}
	// Half of what is flushed are tombstones, of places in lanes and of leases; merges that are due anyway remove them, and no iterator
	// walks over them (docs/decisions/0007-lanes-with-a-window.md). To merge tables for their sake costs more than it saves.
	po.Experimental.TombstoneDenseCompactionThreshold = -1
	// Most look-ups ask for a key that is not there (is this job new?): the filter answers without a block.
	po.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	po.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	po.Levels[1].Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	db, err := pebble.Open(dir, po)
	guard.opened.Store(err == nil)
	fs.opened.Store(err == nil)
	return db, err
}

// storeLog passes Pebble's messages on, and ends the process where the library would: a store that
// cannot write must not stay in the cluster.
type storeLog struct {
	o    *Options
	pace *pace
}

func (l storeLog) Infof(string, ...any) {} // routine: flushes and compactions

func (l storeLog) Errorf(format string, args ...any) {
	l.o.Logger.Error("state store", "err", fmt.Sprintf(format, args...))
}

// Fatalf must not return.
func (l storeLog) Fatalf(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	l.o.OnFatal(ExitStateStore, reason)
	panic("fsm: state store: " + reason)
}

func (l storeLog) events() *pebble.EventListener {
	return &pebble.EventListener{
		WALCreated:    func(pebble.WALCreateInfo) { l.pace.rotated() },
		FlushBegin:    func(i pebble.FlushInfo) { l.pace.taken(i.Input) },
		FlushEnd:      func(i pebble.FlushInfo) { l.pace.flushed(i.Output) },
		CompactionEnd: func(i pebble.CompactionInfo) { l.pace.merged(i) },
		// A failed flush is retried by Pebble for ever while writes go on and then stall (pebble #6139,
		// #270). The log has everything, so the safe way is to stop and begin again from it.
		BackgroundError: func(err error) {
			if strings.Contains(err.Error(), "closed") {
				return
			}
			l.o.OnFatal(ExitStateStore, err.Error())
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			l.o.OnFatal(ExitCorruption, i.String())
		},
		DiskSlow: func(i pebble.DiskSlowInfo) {
			l.o.Logger.Warn("the state store's disk is slow", "info", i.String())
		},
	}
}
