package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// freePorts reserves addresses for a moment.
func freePorts(t *testing.T, count int) (addresses []string) {
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// Three nodes with everything real: bolt, Pebble on the disk, TCP. The log of each of them, replayed
// into an empty machine, gives the hash that all of them reported.
func TestNode_ThreeNodesOnDiskAndTCP(t *testing.T) {
	ports := freePorts(t, 6)
	var peers []Peer
	for i := range 3 {
		peers = append(peers, Peer{ID: fmt.Sprintf("n%d", i+1), RaftAddress: ports[2*i], APIAddress: ports[2*i+1]})
	}
	w := &world{t: t, ctx: t.Context(), nodes: map[string]*testNode{}}
	dirs := map[string]string{}
	for _, p := range peers {
		dirs[p.ID] = t.TempDir()
		node, err := Open(Config{
			NodeID: p.ID, DataDir: dirs[p.ID], Peers: peers, RaftAddress: p.RaftAddress, APIAddress: p.APIAddress,
			Logger: testLogger(),
			Exit:   func(code int) { t.Errorf("%s exits with %d", p.ID, code) },
		})
		if err != nil {
			t.Fatal(err)
		}
		n := &testNode{Node: node, id: p.ID, run: make(chan error, 1)}
		go func() { n.run <- node.Run(w.ctx) }()
		w.nodes[p.ID] = n
	}
	ids := []string{"n1", "n2", "n3"}
	index, want := w.workForReal()
	for _, id := range ids {
		if got, _ := w.nodes[id].NodeHash(w.ctx, index); got != want {
			t.Errorf("%s: hash %q at %d, the leader has %q", id, got, index, want)
		}
	}

	if _, err := ReplayLog(w.ctx, dirs["n1"], testLogger()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("the log of a running node was replayed: %v", err)
	}
	if _, err := Open(Config{NodeID: "n1", DataDir: dirs["n1"], RaftAddress: "127.0.0.1:0", APIAddress: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "another process uses this data directory") {
		t.Errorf("a second process with the same directory: %v", err)
	}
	for _, id := range ids {
		if err := w.stop(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range ids {
		replayed, err := ReplayLog(w.ctx, dirs[id], testLogger())
		if err != nil {
			t.Fatalf("replay %s: %v", id, err)
		}
		if !slices.Contains(replayed.Hashes, fsm.HashResult{Index: index, Hash: want}) {
			t.Errorf("%s: the replay's hashes are %v, the nodes' at %d is %s", id, replayed.Hashes, index, want)
		}
	}
	if _, err := ReplayLog(w.ctx, t.TempDir(), testLogger()); err == nil || !strings.Contains(err.Error(), "no data directory") {
		t.Errorf("an empty directory was replayed: %v", err)
	}
}

// workForReal submits some jobs and returns the state hash. A starved machine may change the leader
// under it; then it begins again.
func (w *world) workForReal() (index uint64, hash string) {
	w.t.Helper()
	for range 20 {
		leader := w.awaitLeader(30 * time.Second)
		e, ok := leader.Leading()
		if !ok {
			continue
		}
		id := fsm.JobID(ulid.Make())
		if _, _, err := e.Submit(w.ctx, []*fsmpb.SubmitJob{{Job: id[:], Namespace: "default", Graph: oneStep, Input: &fsmpb.Value{Inline: []byte(`1`)}}}); err != nil {
			continue
		}
		if index, err := e.HashState(w.ctx); err == nil {
			hash, _ := leader.NodeHash(w.ctx, index)
			return index, hash
		}
	}
	w.t.Fatal("no leader lasts")
	return 0, ""
}

// awaitLeader waits in real time, by asking each node's engine for a read.
func (w *world) awaitLeader(limit time.Duration) *testNode {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, n := range w.nodes {
			if e, ok := n.Leading(); ok {
				if _, err := e.ReadIndex(ctx); err == nil {
					return n
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatal("no leader")
		}
	}
}

// A crash at any point of an installation leaves the old state or the new one.
func TestInstall_CrashLeavesOneWholeState(t *testing.T) {
	source := openMachine(t, vfs.NewMem(), "source", 30)
	snapshot := new(strings.Builder)
	want, err := source.WriteSnapshot(snapshot)
	if err := errors.Join(err, source.Close()); err != nil {
		t.Fatal(err)
	}
	disk := vfs.NewCrashableMem()
	if _, err := openStateDir(disk, "state"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(openMachine(t, disk, filepath.Join("state", "000001"), 10).Close(), syncDir(disk, "state")); err != nil {
		t.Fatal(err)
	}
	recording := &crashingFS{FS: disk, disk: disk}
	r := openTestReplica(t, recording)
	if err := r.install(strings.NewReader(snapshot.String()), want.Index, want.Term); err != nil {
		t.Fatal(err)
	}
	recording.snap()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]int{}
	for i, crashed := range recording.crashes {
		r := openTestReplica(t, crashed)
		index, _ := r.machine().Applied()
		seen[index]++
		if index != 10 && index != want.Index {
			t.Fatalf("crash %d of %d: the state is at %d, not at 10 or %d", i, len(recording.crashes), index, want.Index)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if seen[10] < 20 || seen[want.Index] == 0 {
		t.Errorf("states after a crash: %v", seen)
	}
}

func openTestReplica(t *testing.T, fs vfs.FS) *replica {
	t.Helper()
	dir, err := openStateDir(fs, "state")
	if err != nil {
		t.Fatal(err)
	}
	r, err := openReplica(dir, fsm.Options{Logger: testLogger()}, testLogger(), newWatchdog(time.Hour, testLogger(), nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// openMachine makes a state of some entries on disk.
func openMachine(t *testing.T, fs vfs.FS, path string, entries uint64) *fsm.Machine {
	t.Helper()
	if err := fs.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := fsm.Open(fs, path, fsm.Options{Logger: testLogger()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := fsm.EncodeEntry(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetConfiguration(1, 1, []byte("configuration")); err != nil {
		t.Fatal(err)
	}
	for index := uint64(2); index <= entries; index++ {
		if _, err := m.Apply([]fsm.LogEntry{{Index: index, Term: 1, Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	return m
}

// crashingFS keeps, before every operation that changes something, what the disk would hold after a
// power cut at this moment (only what was synced), and after the process was killed (everything).
type crashingFS struct {
	vfs.FS
	disk    *vfs.MemFS
	mu      sync.Mutex
	crashes []vfs.FS
}

func (c *crashingFS) snap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashes = append(c.crashes, c.disk.CrashClone(vfs.CrashCloneCfg{}),
		c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))}))
}

func (c *crashingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	c.snap()
	f, err := c.FS.Create(name, category)
	return &crashingFile{File: f, fs: c}, err
}

func (c *crashingFS) Rename(from, to string) error {
	c.snap()
	return c.FS.Rename(from, to)
}

func (c *crashingFS) OpenDir(name string) (vfs.File, error) {
	f, err := c.FS.OpenDir(name)
	return &crashingFile{File: f, fs: c}, err
}

type crashingFile struct {
	vfs.File
	fs *crashingFS
}

func (f *crashingFile) Write(p []byte) (int, error) {
	f.fs.snap()
	return f.File.Write(p)
}

func (f *crashingFile) Sync() error {
	f.fs.snap()
	return f.File.Sync()
}
