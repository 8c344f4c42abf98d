package netem

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// proxy forwards the connections that host a opens to one address of host b. While nobody listens there, it does not listen
// either: a is refused, as it would be without a proxy between, and knows that nothing was sent. Over a cut link nobody is
// refused.
type proxy struct {
	address *net.TCPAddr
	keeper  keeper // of the port
	target  string
	there   *direction // from a to b
	back    *direction // from b to a
	done    chan struct{}
	group   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil: a is refused
	conns    map[*net.TCPConn]bool
	closed   bool
}

func newProxy(target string, there, back *direction) (*proxy, error) {
	listener, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{address: listener.Addr().(*net.TCPAddr), target: target, there: there, back: back, done: make(chan struct{}), conns: map[*net.TCPConn]bool{}}
	if p.keeper, err = keep(p.address); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.listener = listener
	p.group.Go(func() { p.accept(listener) })
	return p, nil
}

func (p *proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

// serve connects to the target when the way there is open: over a cut link nobody answers a SYN.
func (p *proxy) serve(from *net.TCPConn) {
	if !p.track(from) {
		return
	}
	defer p.untrack(from)
	if !p.there.open(p.done) || !p.back.open(p.done) {
		return
	}
	conn, err := net.DialTimeout("tcp", p.target, dialPatience)
	if err != nil {
		p.refuse()
		_ = from.SetLinger(0) // it came before anybody knew
		return
	}
	to := conn.(*net.TCPConn)
	if !p.track(to) {
		return
	}
	defer p.untrack(to)
	var both sync.WaitGroup
	both.Go(func() { p.there.copy(to, from, p.done, nil) })
	both.Go(func() { p.back.copy(from, to, p.done, p.look) })
	both.Wait()
}

const (
	dialPatience = 5 * time.Second
	// lookEvery is how often a target that was gone is looked for.
	lookEvery = 10 * time.Millisecond
)

// gone reports whether nobody listens at the target.
func (p *proxy) gone() bool {
	conn, err := net.DialTimeout("tcp", p.target, dialPatience)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// look is called when a target has ended a connection, before the other side hears of it: it may have ended altogether.
func (p *proxy) look() {
	if mayRefuse && p.gone() {
		p.refuse()
	}
}

// refuse ends listening until somebody listens at the target again, or the link is cut.
func (p *proxy) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !mayRefuse || p.closed || p.listener == nil {
		return
	}
	_ = p.listener.Close()
	p.listener = nil
	p.group.Go(p.await)
}

// await listens again when the target does.
func (p *proxy) await() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-ticker.C:
		}
		if !p.there.isCut() && !p.back.isCut() && p.gone() {
			continue
		}
		p.mu.Lock()
		if !p.closed {
			if l, err := listen(p.address.String()); err == nil {
				p.listener = l
				p.group.Go(func() { p.accept(l) })
			}
		}
		again := p.listener == nil && !p.closed
		p.mu.Unlock()
		if !again {
			return
		}
	}
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
	closed, listener := p.closed, p.listener
	p.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	close(p.done)
	var err error
	if listener != nil {
		err = listener.Close()
	}
	p.reset()
	p.group.Wait()
	return errors.Join(err, p.keeper.Close())
}
