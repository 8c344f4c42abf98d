package pipenet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one end of a connection.
//
// net.Pipe would be shorter, but its Write waits for the reader, and HTTP/2 writes under a mutex: whoever
// wants that mutex is blocked in a way in which a bubble's time does not go on, and nothing ever mends the
// link. So a write never waits here. What is under way is bounded by the protocols' own windows.
type conn struct {
	network *Network
	link    link  // from this end
	in, out *half // what the other end has written, and what this one has
	once    sync.Once
	closed  chan struct{}
	limit   deadline // of reads
}

func newConns(n *Network, l link) (near, far *conn) {
	there, back := newHalf(), newHalf()
	near = &conn{network: n, link: l, in: back, out: there, closed: make(chan struct{})}
	far = &conn{network: n, link: link{l.to, l.from}, in: there, out: back, closed: make(chan struct{})}
	near.limit.set(time.Time{})
	far.limit.set(time.Time{})
	return near, far
}

// hole is what is closed when the link heals; nil while it is open.
func (c *conn) hole() chan struct{} {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	return c.network.blocked(c.link.from, c.link.to)
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		default:
		}
		change := c.hole()
		if change == nil {
			var n int
			var err error
			if n, change, err = c.in.read(b); change == nil {
				return n, err
			}
		}
		select {
		case <-change:
		case <-c.closed:
		case <-c.limit.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (c *conn) Write(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	if !c.out.write(b) && c.hole() == nil {
		return 0, &net.OpError{Op: "write", Net: "pipe", Err: syscall.EPIPE}
	}
	return len(b), nil
}

// Close ends this end at once. The other end reads what was written before, and then the end.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.network.mu.Lock()
		delete(c.network.conns, c)
		c.network.mu.Unlock()
		close(c.closed)
		c.out.end()
		c.in.leave()
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr               { return addr(c.link.from) }
func (c *conn) RemoteAddr() net.Addr              { return addr(c.link.to) }
func (c *conn) SetReadDeadline(t time.Time) error { c.limit.set(t); return nil }
func (c *conn) SetWriteDeadline(time.Time) error  { return nil } // a write never waits
func (c *conn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }

// half is one direction of a connection.
type half struct {
	mu     sync.Mutex // guards what follows
	data   []byte
	ended  bool          // nothing more will be written
	left   bool          // nobody reads any more
	change chan struct{} // closed, and replaced, when there is something to read
}

func newHalf() *half { return &half{change: make(chan struct{})} }

// read takes what is there. With nothing to say it returns what will be closed when there is.
func (h *half) read(b []byte) (n int, change chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.data) > 0:
		n = copy(b, h.data)
		if h.data = h.data[n:]; len(h.data) == 0 {
			h.data = nil
		}
		return n, nil, nil
	case h.ended:
		return 0, nil, io.EOF
	}
	return 0, h.change, nil
}

// write reports whether somebody may read it.
func (h *half) write(b []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left {
		return false
	}
	h.data = append(h.data, b...)
	h.signal()
	return true
}

func (h *half) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.signal()
}

func (h *half) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left, h.data = true, nil
}

// signal wakes the reader. Precondition: mu is held.
func (h *half) signal() {
	close(h.change)
	h.change = make(chan struct{})
}

// deadline is a point in time that can be moved.
type deadline struct {
	mu    sync.Mutex // guards what follows
	timer *time.Timer
	c     chan struct{} // closed when it has passed
}

func (d *deadline) passed() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.c
}

// set moves the deadline; the zero time is never. A read that waits notices the new one, because the old
// channel is closed if the new time has passed, as net/http relies on to interrupt a read.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.c // it has fired: wait for the channel's end
	}
	d.timer = nil
	fresh := d.c == nil || isClosed(d.c)
	if fresh {
		d.c = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		c := d.c
		d.timer = time.AfterFunc(left, func() { close(c) })
		return
	}
	close(d.c)
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
