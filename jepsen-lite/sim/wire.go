package sim

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// wires are the network between the nodes' Raft: a message for each call and one for each answer, and each
// direction between two nodes is a link of its own with its own troubles.
type wires struct {
	seed uint64

	mu    sync.Mutex // guards what follows
	ends  map[raft.ServerAddress]*wire
	hosts map[raft.ServerAddress]int
	links map[[2]int]*link
}

// link is one direction between two nodes.
type link struct {
	cut   int // how many faults cut it
	slow  time.Duration
	lose  int // percent of messages
	again int // percent of calls that arrive twice
	dice  *rand.Rand
}

func newWires(seed uint64) *wires {
	return &wires{seed: seed, ends: map[raft.ServerAddress]*wire{}, hosts: map[raft.ServerAddress]int{}, links: map[[2]int]*link{}}
}

// change changes a link under its lock.
func (w *wires) change(from, to int, how func(*link)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	how(w.link(from, to))
}

// link returns a direction. Precondition: mu is held.
func (w *wires) link(from, to int) *link {
	key := [2]int{from, to}
	if w.links[key] == nil {
		w.links[key] = &link{dice: dice(w.seed, purpose("link", from*100+to))}
	}
	return w.links[key]
}

// heal mends all links.
func (w *wires) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		l.cut, l.slow, l.lose, l.again = 0, 0, 0, 0
	}
}

// fate is what becomes of one message.
type fate struct {
	lost  bool
	after time.Duration
	again time.Duration // a second time, so much later; 0: once
}

func (w *wires) fate(from, to int) fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.link(from, to)
	f := fate{lost: l.cut > 0 || l.lose > 0 && l.dice.IntN(100) < l.lose}
	if l.slow > 0 {
		f.after = time.Duration(l.dice.Int64N(int64(l.slow)))
	}
	if l.again > 0 && l.dice.IntN(100) < l.again {
		f.again = time.Duration(1 + l.dice.Int64N(int64(time.Second)))
	}
	return f
}

// wire is one Raft instance's end of the network.
type wire struct {
	all    *wires
	host   int
	addr   raft.ServerAddress
	calls  chan raft.RPC
	closed chan struct{}
	once   sync.Once
	ghost  *atomic.Bool // of a process that has crashed: nothing leaves it or reaches it
}

var (
	_ raft.Transport   = (*wire)(nil)
	_ raft.WithPreVote = (*wire)(nil)
	_ raft.WithClose   = (*wire)(nil)
)

func (w *wires) join(host int, addr raft.ServerAddress, ghost *atomic.Bool) *wire {
	end := &wire{all: w, host: host, addr: addr, calls: make(chan raft.RPC, 64), closed: make(chan struct{}), ghost: ghost}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[addr], w.hosts[addr] = end, host
	return end
}

const callTimeout = 250 * time.Millisecond

var (
	errLost   = errors.New("sim: no answer came")
	errClosed = errors.New("sim: the transport is closed")
)

// call sends a call and waits for its answer.
func (w *wire) call(to raft.ServerAddress, command any, body io.Reader, timeout time.Duration, repeatable bool) (any, error) {
	w.all.mu.Lock()
	peer, host := w.all.ends[to], w.all.hosts[to]
	w.all.mu.Unlock()
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	if peer == nil {
		return nil, errLost
	}
	there := w.all.fate(w.host, host)
	answer := make(chan raft.RPCResponse, 1)
	if !there.lost && !w.ghost.Load() {
		arrive := func() { peer.deliver(raft.RPC{Command: command, Reader: body, RespChan: answer}) }
		if there.after == 0 {
			arrive()
		} else if repeatable {
			time.AfterFunc(there.after, arrive) // be it after the caller has given up
		} else if w.pass(there.after, limit) {
			arrive()
		}
		if there.again > 0 && repeatable {
			twice := raft.RPC{Command: command, RespChan: make(chan raft.RPCResponse, 1)}
			time.AfterFunc(there.again, func() { peer.deliver(twice) })
		}
	}
	select {
	case r := <-answer:
		back := w.all.fate(host, w.host)
		if back.lost || w.ghost.Load() || peer.ghost.Load() || !w.pass(back.after, limit) {
			w.pass(timeout, limit)
			return nil, errLost
		}
		return r.Response, r.Error
	case <-limit.C:
		return nil, errLost
	case <-w.closed:
		return nil, errClosed
	}
}

// pass waits while a message is on its way; false: the call is over before.
func (w *wire) pass(d time.Duration, limit *time.Timer) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-limit.C:
	case <-w.closed:
	}
	return false
}

// deliver hands a call to Raft. A queue that is full is a network that loses.
func (w *wire) deliver(c raft.RPC) {
	if w.ghost.Load() {
		return
	}
	select {
	case <-w.closed:
	case w.calls <- c:
	default:
	}
}

func (w *wire) Consumer() <-chan raft.RPC                               { return w.calls }
func (w *wire) LocalAddr() raft.ServerAddress                           { return w.addr }
func (w *wire) SetHeartbeatHandler(func(raft.RPC))                      {}
func (w *wire) Close() error                                            { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) DecodePeer(p []byte) raft.ServerAddress                  { return raft.ServerAddress(p) }
func (w *wire) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

func (w *wire) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// answerInto copies an answer of the right type.
func answerInto[T any](to *T, r any, err error) error {
	if err != nil {
		return err
	}
	a, ok := r.(*T)
	if !ok {
		return errLost
	}
	*to = *a
	return nil
}

func (w *wire) AppendEntries(_ raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	r, err := w.call(to, args, nil, callTimeout, true)
	return answerInto(resp, r, err)
}

func (w *wire) RequestVote(_ raft.ServerID, to raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	r, err := w.call(to, args, nil, callTimeout, true)
	return answerInto(resp, r, err)
}

func (w *wire) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	r, err := w.call(to, args, nil, callTimeout, true)
	return answerInto(resp, r, err)
}

func (w *wire) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	r, err := w.call(to, args, nil, callTimeout, true)
	return answerInto(resp, r, err)
}

func (w *wire) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	whole, err := io.ReadAll(data) // the sender closes it when it has given up, whoever reads then
	if err != nil {
		return err
	}
	r, err := w.call(to, args, bytes.NewReader(whole), 10*callTimeout, false)
	return answerInto(resp, r, err)
}
