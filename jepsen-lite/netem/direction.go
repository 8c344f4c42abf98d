package netem

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// direction is the state of the bytes that flow one way between two hosts, in all connections.
type direction struct {
	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed and replaced when fault changes

	forwarded atomic.Int64 // bytes
	held      atomic.Int64 // bytes that a cut or delay has held back
}

func newDirection() *direction { return &direction{changed: make(chan struct{})} }

func (d *direction) set(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault == f {
		return
	}
	d.fault = f
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *direction) get() (Fault, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault, d.changed
}

// open waits until the direction is not cut. It returns false when done closes first.
func (d *direction) open(done <-chan struct{}) bool {
	for {
		f, changed := d.get()
		if !f.Cut {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

func (d *direction) isCut() bool {
	f, _ := d.get()
	return f.Cut
}

// pieceBytes is how much is forwarded at a time: small enough that a throttled link moves evenly.
const pieceBytes = 16 << 10

// piece is bytes on their way.
type piece struct {
	data []byte
	due  time.Time
}

// copy forwards from src to dst until either ends or done closes. Reading and writing are two
// goroutines, so that a delay is a delay and not a bound of the rate; the pieces between them are
// bounded, so that a cut link pushes back on the sender as a full socket does. The end of the stream waits for a cut as its
// bytes do; ended is called before it is passed on, when it is not nil.
func (d *direction) copy(dst, src net.Conn, done <-chan struct{}, ended func()) {
	pieces := make(chan piece, 64)
	go d.read(src, pieces, done)
	for p := range pieces {
		if !d.wait(p, done) {
			break
		}
		if _, err := dst.Write(p.data); err != nil {
			break
		}
		d.forwarded.Add(int64(len(p.data)))
	}
	d.open(done)
	if ended != nil {
		ended()
	}
	_ = closeWrite(dst)
	for range pieces { // so that read can end
	}
}

func (d *direction) read(src io.Reader, pieces chan<- piece, done <-chan struct{}) {
	defer close(pieces)
	for {
		buf := make([]byte, pieceBytes)
		n, err := src.Read(buf)
		if n > 0 {
			f, _ := d.get()
			due := time.Now().Add(f.Delay)
			if f.Jitter > 0 {
				due = due.Add(rand.N(f.Jitter))
			}
			if f.Cut || f.Delay > 0 || f.Jitter > 0 {
				d.held.Add(int64(n))
			}
			select {
			case pieces <- piece{buf[:n], due}:
			case <-done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait holds a piece until it may go.
func (d *direction) wait(p piece, done <-chan struct{}) bool {
	pause := time.Until(p.due)
	if f, _ := d.get(); f.BytesPerSecond > 0 {
		pause = max(pause, 0) + time.Duration(len(p.data))*time.Second/time.Duration(f.BytesPerSecond)
	}
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-done:
			return false
		}
	}
	return d.open(done)
}

// closeWrite passes the end of a stream on.
func closeWrite(c net.Conn) error {
	if t, ok := c.(*net.TCPConn); ok {
		return t.CloseWrite()
	}
	return c.Close()
}
