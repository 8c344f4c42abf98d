//go:build chaos

package inject

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"sync"
)

// Listener is the API's listener. Where a reply is to be dropped, the connection is cut in the place of
// its first byte; the call behind it has been carried out by then.
func (f *Faults) Listener(under net.Listener) net.Listener { return &listener{under, f} }

type listener struct {
	net.Listener
	faults *Faults
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, faults: l.faults}, nil
}

// conn is one connection, of HTTP/2 (from the SDK and from other nodes) or of HTTP/1.1.
type conn struct {
	net.Conn
	faults *Faults

	mu    sync.Mutex
	frame frameReader
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	replies := c.frame.replies(p)
	c.mu.Unlock()
	o, _, _ := c.faults.current()
	for range replies {
		if o.DropReplies > 0 && rand.Float64() < o.DropReplies {
			c.faults.dropped.Add(int64(replies))
			if tcp, ok := c.Conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = c.Conn.Close()
			return 0, net.ErrClosed
		}
	}
	return c.Conn.Write(p)
}

// frameReader finds the beginnings of replies in what a server writes.
type frameReader struct {
	begun  bool
	http1  bool
	header []byte // of the frame that begins, as far as it has come
	body   int    // bytes of the current frame that are still to come
}

const (
	frameHeader  = 9 // RFC 9113, section 4.1
	frameHeaders = 1 // the type of a frame that begins a reply, or its trailers
)

func (r *frameReader) replies(p []byte) (n int) {
	if !r.begun {
		r.begun, r.http1 = true, bytes.HasPrefix(p, []byte("HTTP/1"))
	}
	if r.http1 {
		if bytes.HasPrefix(p, []byte("HTTP/1")) {
			return 1
		}
		return 0
	}
	for len(p) > 0 {
		if r.body > 0 {
			skip := min(r.body, len(p))
			r.body, p = r.body-skip, p[skip:]
			continue
		}
		take := min(frameHeader-len(r.header), len(p))
		r.header, p = append(r.header, p[:take]...), p[take:]
		if len(r.header) == frameHeader {
			r.body = int(binary.BigEndian.Uint32(append([]byte{0}, r.header[:3]...)))
			if r.header[3] == frameHeaders {
				n++
			}
			r.header = r.header[:0]
		}
	}
	return n
}
