package main

import (
	"errors"
	"sync"
)

// gateway is a payment service as seen from here: it may be down, and it remembers idempotency keys.
type gateway struct {
	mu       sync.Mutex
	failures int // calls that still fail
	charged  map[string]int
}

func (g *gateway) charge(key string, cents int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures > 0 {
		g.failures--
		return errors.New("payment service does not answer")
	}
	g.charged[key] = cents
	return nil
}
