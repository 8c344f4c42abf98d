package netem

import (
	"errors"
	"net"
	"sync"
	"time"
)

// proxy forwards the connections that host a opens to one address of host b.
type proxy struct {
	listener net.Listener
	target   string
	there    *direction // from a to b
	back     *direction // from b to a
	done     chan struct{}
	group    sync.WaitGroup

	mu     sync.Mutex
	conns  map[*net.TCPConn]bool
	closed bool
}

func newProxy(target string, there, back *direction) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: target, there: there, back: back, done: make(chan struct{}), conns: map[*net.TCPConn]bool{}}
	p.group.Add(1)
	go p.accept()
	return p, nil
}

func (p *proxy) accept() {
	defer p.group.Done()
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Add(1)
		go p.serve(conn.(*net.TCPConn))
	}
}

// serve connects to the target when the way there is open: over a cut link nobody answers a SYN.
func (p *proxy) serve(from *net.TCPConn) {
	defer p.group.Done()
	if !p.track(from) {
		return
	}
	defer p.untrack(from)
	if !p.there.open(p.done) || !p.back.open(p.done) {
		return
	}
	conn, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		_ = from.SetLinger(0) // the target's refusal, passed on
		return
	}
	to := conn.(*net.TCPConn)
	if !p.track(to) {
		return
	}
	defer p.untrack(to)
	var both sync.WaitGroup
	both.Go(func() { p.there.copy(to, from, p.done) })
	both.Go(func() { p.back.copy(from, to, p.done) })
	both.Wait()
}

func (p *proxy) track(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) untrack(c *net.TCPConn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close()
}

// reset breaks every connection with a RST, and returns how many there were.
func (p *proxy) reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	return len(p.conns)
}

func (p *proxy) close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	close(p.done)
	err := p.listener.Close()
	p.reset()
	p.group.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
