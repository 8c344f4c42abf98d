package cluster

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// hangingLog hangs until hang is closed, once hanging is set.
type hangingLog struct {
	raft.LogStore
	hang    chan struct{}
	hanging atomic.Bool
}

func (l *hangingLog) StoreLogs(logs []*raft.Log) error {
	if l.hanging.Load() {
		<-l.hang
	}
	return l.LogStore.StoreLogs(logs)
}

// A leader whose log hangs must not stay leader: heartbeats go on, so the others would never elect.
func TestWatchdog_AHangingLogEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var disk *hangingLog
		w.start("n1", func(c *Config) {
			open := c.OpenLogs
			c.OpenLogs = func(dir string) (LogStores, error) {
				stores, err := open(dir)
				disk = &hangingLog{LogStore: stores.Log, hang: make(chan struct{})}
				stores.Log = disk
				return stores, err
			}
		})
		n := w.leader("n1")
		disk.hanging.Store(true)
		e, _ := n.Leading()
		go e.HashState(w.ctx)
		hung := time.Now()
		w.until("the process ends", func() bool { return w.exits("n1") != nil })
		if took := time.Since(hung); took < 10*time.Second || took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		if exits := w.exits("n1"); !slices.Equal(exits, []int{ExitLogStore}) {
			t.Errorf("exit codes %v", exits)
		}
		close(disk.hang) // a real process would be gone
		if err := <-n.run; err == nil {
			t.Error("Run ended without an error")
		}
		n.run = nil
	})
}

func TestWatchdog_CountsTicksNotTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var codes []int
		w := newWatchdog(10*time.Second, testLogger(), func(code int, _ string) { codes = append(codes, code) })
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx)
		end := w.begin("flush", ExitStateStore)
		time.Sleep(9 * time.Second)
		end()
		time.Sleep(time.Minute)
		if codes != nil {
			t.Errorf("a flush of 9 s ended the process: %v", codes)
		}
		defer w.begin("flush", ExitStateStore)()
		time.Sleep(12 * time.Second)
		cancel()
		synctest.Wait()
		if len(codes) == 0 || codes[0] != ExitStateStore {
			t.Errorf("a hanging flush: exit codes %v", codes)
		}
	})
}

func TestPauses_AreNoticed(t *testing.T) {
	now := time.Now()
	p := newPauses(50 * time.Millisecond)
	p.now = func() time.Time { return now }
	p.lastTick = now
	step := func(d time.Duration) { now = now.Add(d); p.look() }
	step(50 * time.Millisecond)
	step(60 * time.Millisecond)
	if p.since(now.Add(-time.Second)) {
		t.Error("nothing has happened")
	}
	now = now.Add(5 * time.Second) // stopped and continued; the ticker has not run yet
	if !p.since(now) {
		t.Error("a pause that is just over was not noticed")
	}
	p.look()
	if !p.since(now.Add(-time.Second)) {
		t.Error("a pause was forgotten")
	}
	step(50 * time.Millisecond)
	if p.since(now) {
		t.Error("the pause was over before")
	}
}
