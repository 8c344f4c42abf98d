// Package pipenet is a network inside one process: listeners and connections by address, without ports,
// so that it works in a testing/synctest bubble. Links between hosts can be cut and healed. A cut link is
// a hole and not an error, as in life: what is written, and the end of a connection, arrives when the link
// heals.
//
// It knows nothing of Fanfold. All methods are safe for concurrent use.
package pipenet

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Network joins hosts. A host is the name that precedes the colon of an address.
type Network struct {
	mu        sync.Mutex // guards what follows
	listeners map[string]*Listener
	cut       map[link]chan struct{} // closed when the link heals
	conns     map[*conn]bool
}

// link is one direction between two hosts.
type link struct{ from, to string }

// New makes a network without hosts.
func New() *Network {
	return &Network{listeners: map[string]*Listener{}, cut: map[link]chan struct{}{}, conns: map[*conn]bool{}}
}

// Listen opens an address, host:port. An address in use is an error.
func (n *Network) Listen(address string) (*Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("pipenet: %s is in use", address)
	}
	l := &Listener{network: n, address: address, backlog: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// Dialer connects from a host. Its type is that of net.Dialer.DialContext.
func (n *Network) Dialer(from string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) { return n.dial(ctx, from, address) }
}

func (n *Network) dial(ctx context.Context, from, address string) (net.Conn, error) {
	to := hostOf(address)
	for {
		n.mu.Lock()
		l, healed := n.listeners[address], n.blocked(from, to)
		n.mu.Unlock()
		if healed == nil {
			if l == nil {
				return nil, dialError(address, fmt.Errorf("connection refused"))
			}
			return n.connect(ctx, l, from, to)
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return nil, dialError(address, ctx.Err())
		}
	}
}

func (n *Network) connect(ctx context.Context, l *Listener, from, to string) (net.Conn, error) {
	near, far := newConns(n, link{from, to})
	select {
	case l.backlog <- far:
		n.mu.Lock()
		defer n.mu.Unlock()
		n.conns[near], n.conns[far] = true, true
		return near, nil
	case <-l.closed:
		return nil, dialError(l.address, fmt.Errorf("connection refused"))
	case <-ctx.Done():
		return nil, dialError(l.address, ctx.Err())
	}
}

func dialError(address string, err error) error {
	return &net.OpError{Op: "dial", Net: "pipe", Addr: addr(address), Err: err}
}

// blocked returns what is closed when the hole between two hosts heals; nil: there is none.
// Precondition: mu is held.
func (n *Network) blocked(from, to string) chan struct{} {
	if c := n.cut[link{from, to}]; c != nil {
		return c
	}
	return n.cut[link{to, from}]
}

// Cut makes a hole between two hosts, in both directions.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a != b && n.blocked(a, b) == nil {
		n.cut[link{a, b}] = make(chan struct{})
	}
}

// Mend closes the hole between two hosts.
func (n *Network) Mend(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range []link{{a, b}, {b, a}} {
		if c := n.cut[l]; c != nil {
			close(c)
			delete(n.cut, l)
		}
	}
}

// Close ends all connections and listeners. The network can be used on.
func (n *Network) Close() {
	n.mu.Lock()
	hosts := map[string]bool{}
	for address := range n.listeners {
		hosts[hostOf(address)] = true
	}
	for c := range n.conns {
		hosts[c.link.from] = true
	}
	n.mu.Unlock()
	for host := range hosts {
		n.Kill(host)
	}
}

// Heal closes all holes. What waited goes on.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l, c := range n.cut {
		close(c)
		delete(n.cut, l)
	}
}

// Kill closes all connections of a host and its listeners at once, as the death of a process does.
func (n *Network) Kill(host string) {
	n.mu.Lock()
	var dead []interface{ Close() error }
	for address, l := range n.listeners {
		if hostOf(address) == host {
			dead = append(dead, l)
		}
	}
	for c := range n.conns {
		if c.link.from == host {
			dead = append(dead, c)
		}
	}
	n.mu.Unlock()
	for _, d := range dead {
		d.Close()
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// Listener is a net.Listener of the network.
type Listener struct {
	network *Network
	address string
	backlog chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close frees the address. Open connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		if l.network.listeners[l.address] == l {
			delete(l.network.listeners, l.address)
		}
		close(l.closed)
	})
	return nil
}

// Addr is the listener's address.
func (l *Listener) Addr() net.Addr { return addr(l.address) }

type addr string

func (a addr) Network() string { return "pipe" }
func (a addr) String() string  { return string(a) }
