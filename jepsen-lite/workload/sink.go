package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// sink is a store outside the cluster that keeps a register for each key and refuses writes under a fence
// that is lower than one it has seen: what sdk.Fence is for. It lives in the runner and survives every fault.
type sink struct {
	listener net.Listener
	group    sync.WaitGroup

	mu   sync.Mutex
	regs map[string]*fenced
}

// fenced is one key's.
type fenced struct {
	fence    uint64 // highest seen
	writes   int    // accepted
	refusals int
}

type sinkWrite struct {
	Key   string `json:"key"`
	Fence uint64 `json:"fence"`
}

type sinkAnswer struct {
	Accepted bool `json:"accepted"`
}

func openSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, regs: map[string]*fenced{}}
	s.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.group.Go(func() { s.serve(c) })
		}
	})
	return s, nil
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	var w sinkWrite
	if json.NewDecoder(bufio.NewReader(c)).Decode(&w) == nil {
		_ = json.NewEncoder(c).Encode(sinkAnswer{s.write(w)})
	}
}

func (s *sink) write(w sinkWrite) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regs[w.Key]
	if r == nil {
		r = &fenced{}
		s.regs[w.Key] = r
	}
	if w.Fence < r.fence {
		r.refusals++
		return false
	}
	r.fence = w.Fence
	r.writes++
	return true
}

// close ends the sink and returns what it holds.
func (s *sink) close() map[string]*fenced {
	s.listener.Close()
	s.group.Wait()
	return s.regs
}

// writeSink writes to a sink from a task.
func writeSink(ctx context.Context, address string, w sinkWrite) (accepted bool, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := json.NewEncoder(c).Encode(w); err != nil {
		return false, err
	}
	var a sinkAnswer
	err = json.NewDecoder(c).Decode(&a)
	return a.Accepted, err
}
