package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
)

// node is a member: its disk, which outlives its processes, and the process that runs.
type node struct {
	world *world
	index int
	peer  cluster.Peer
	clock atomic.Int64 // how far its wall clock is off

	mu     sync.Mutex        // guards what follows
	files  *vfs.MemFS        // for the next life
	votes  map[string][]byte // likewise
	chance *rand.Rand        // of crashes and of the log's delays
	now    *process          // nil: none
	lives  int
	writes int // of all lives that ended
}

// process is a life of a node with all that is its own.
type process struct {
	life *life
	disk *stateDisk
	log  *logDisk
	live *cluster.Node
	done chan struct{} // closed when Run has returned
}

func newNode(w *world, index int, peer cluster.Peer) *node {
	n := &node{world: w, index: index, peer: peer, files: vfs.NewCrashableMem(), chance: dice(w.plan.Seed, purpose("node", index))}
	n.clock.Store(int64(w.plan.Clocks[index]))
	return n
}

// start begins a life on what is on the disk, unless one is under way.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now != nil {
		return nil
	}
	p := &process{life: &life{delay: n.syncDelay}, done: make(chan struct{})}
	before := n.writes
	p.life.onWrite = func(what string, count int, after bool) {
		if c := n.world.plan.Crash; c != nil && !n.world.ending.Load() && c.Node == n.index && c.Write == before+count && c.After == after {
			n.world.crashed("crash at " + what)
			n.crash(p, 0)
			n.world.restartLater(n, time.Second)
		} else if n.world.trips(n, after) {
			n.crash(p, n.world.kept())
			n.world.restartLater(n, time.Second)
		}
	}
	p.disk, p.log = &stateDisk{n.files, p.life}, newLogDisk(p.life, &n.world.archive, n.votes)
	n.lives++
	n.now = p // its writes may end it before it is open
	n.mu.Unlock()
	live, err := n.open(p)
	n.mu.Lock()
	if err != nil {
		if n.now == p {
			n.now = nil
		}
		if p.life.dead() {
			return nil
		}
		return err
	}
	p.live = live
	p.log.applied = func() (uint64, uint64) { return live.Machine().Applied() }
	go func() {
		defer close(p.done)
		_ = live.Run(context.Background()) // what ended it, but for Close, has called Exit
	}()
	if p.life.dead() {
		n.world.ghosts.Go(func() { _ = live.Close(); <-p.done })
	}
	return nil
}

func (n *node) open(p *process) (*cluster.Node, error) {
	listener, err := n.world.net.Listen(n.peer.APIAddress)
	if err != nil {
		return nil, err
	}
	plan := &n.world.plan
	live, err := cluster.Open(cluster.Config{
		NodeID: n.peer.ID, DataDir: "/data", FS: p.disk, Peers: n.world.peers,
		OpenLogs: func(string) (cluster.LogStores, error) { return p.log.open(p.disk) },
		RaftTransport: func() (raft.Transport, error) {
			return n.world.wires.join(n.index, cluster.ServerAddress(n.peer.RaftAddress, n.peer.APIAddress), &p.life.ended), nil
		},
		APIListener: listener,
		DialAPI: func(ctx context.Context, address string) (net.Conn, error) {
			return n.world.net.Dialer(n.peer.ID)(ctx, "tcp", address)
		},
		Now:               func() time.Time { return time.Now().Add(time.Duration(n.clock.Load())) },
		SnapshotThreshold: plan.Threshold, TrailingLogs: plan.Trailing, SnapshotInterval: 2 * time.Second,
		Logger: n.world.logger.With("life", n.lives), CacheBytes: 4 << 20,
		Exit: func(code int) {
			if !p.life.dead() {
				n.world.exit(fmt.Sprintf("%s ended with code %d", n.peer.ID, code))
			}
		},
	})
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("%s does not start: %w", n.peer.ID, err)
	}
	return live, nil
}

func (n *node) syncDelay() time.Duration {
	most := n.world.plan.Sync + time.Duration(n.world.slow[n.index].Load())
	if most == 0 {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(n.chance.Int64N(int64(most) + 1))
}

// crash ends a life at once. Of what was not synced each part is left with a chance of percent. Nothing that
// the node says from here on is heard: first its clients are gone, then the other nodes, and only then is
// looked at what is on the disk.
func (n *node) crash(p *process, percent int) {
	n.world.net.Kill(n.peer.ID)
	if p.life.ended.Swap(true) {
		return
	}
	n.mu.Lock()
	n.files, n.votes = p.disk.crashed(percent, n.chance), p.log.crashed(percent, n.chance)
	n.end(p)
	live := p.live
	n.mu.Unlock()
	p.life.release()
	if live != nil {
		n.world.ghosts.Go(func() { _ = live.Close(); <-p.done })
	}
}

// end notes that a life is over. Precondition: mu is held.
func (n *node) end(p *process) {
	if n.now == p {
		n.now = nil
		n.writes += int(p.life.writes.Load())
	}
}

// current is the process that runs; nil: none.
func (n *node) current() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == nil || n.now.live == nil {
		return nil
	}
	return n.now
}

func (n *node) kill(percent int) bool {
	p := n.current()
	if p != nil {
		n.crash(p, percent)
	}
	return p != nil
}

// stop ends the node in good order, and leaves everything on the disk.
func (n *node) stop() {
	p := n.current()
	if p == nil {
		return
	}
	_ = p.log.change(func() error { return nil })
	_ = p.live.Close()
	<-p.done
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == p { // else it crashed meanwhile
		n.files, n.votes = p.disk.MemFS, p.log.crashed(100, n.chance)
		n.end(p)
	}
}

func (n *node) leads() bool {
	p := n.current()
	if p == nil {
		return false
	}
	_, ok := p.live.Leading()
	return ok
}

var quiet = slog.New(slog.DiscardHandler)
