package netem

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Network is the links between named hosts. Its methods are safe for concurrent use.
type Network struct {
	mu    sync.Mutex
	ways  map[way]*direction
	doors map[door]*proxy
}

// way is a direction between two hosts.
type way struct{ from, to string }

// door is where a host finds an address of another.
type door struct {
	way
	target string
}

// New makes a network without hosts.
func New() *Network {
	return &Network{ways: map[way]*direction{}, doors: map[door]*proxy{}}
}

// Door returns the address under which host from reaches the address target of host to. The same
// arguments give the same door.
func (n *Network) Door(from, to, target string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := door{way{from, to}, target}
	if p := n.doors[d]; p != nil {
		return p.address.String(), nil
	}
	p, err := newProxy(target, n.direction(way{from, to}), n.direction(way{to, from}))
	if err != nil {
		return "", fmt.Errorf("netem: a door from %s to %s: %w", from, to, err)
	}
	n.doors[d] = p
	return p.address.String(), nil
}

func (n *Network) direction(w way) *direction {
	d := n.ways[w]
	if d == nil {
		d = newDirection()
		n.ways[w] = d
	}
	return d
}

// Set puts a fault on the bytes that flow from one host to another, in connections that either opened.
func (n *Network) Set(from, to string, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.direction(way{from, to}).set(f)
}

// Heal removes every fault.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.ways {
		d.set(Fault{})
	}
}

// Reset breaks every connection between two hosts, whoever opened it, and returns how many streams
// there were.
func (n *Network) Reset(a, b string) (streams int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for d, p := range n.doors {
		if d.way == (way{a, b}) || d.way == (way{b, a}) {
			streams += p.reset()
		}
	}
	return streams
}

// Held is how many bytes from one host to another have been held back so far: whether a fault had any
// effect.
func (n *Network) Held(from, to string) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.direction(way{from, to}).held.Load()
}

// Forwarded is how many bytes from one host to another have arrived.
func (n *Network) Forwarded(from, to string) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.direction(way{from, to}).forwarded.Load()
}

// Hosts are the names that have links, sorted.
func (n *Network) Hosts() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for w := range n.ways {
		all = append(all, w.from, w.to)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Close ends all links and waits until nothing of them runs.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for _, p := range n.doors {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}
