// Package netem is the network between the processes of a run, made to fail: a TCP proxy for every
// ordered pair of hosts, whose faults can be changed at any time.
//
// It works on byte streams, so packets are neither lost nor reordered; a cut holds bytes back, as a
// network does that drops packets until TCP sends them again. What is held back arrives when the
// cut heals, if both ends still want it.
package netem

import (
	"fmt"
	"strings"
	"time"
)

// Fault is what happens to the bytes of one direction. The zero value is a healthy network.
type Fault struct {
	// Cut holds everything back. A connection that is opened meanwhile is held, too.
	Cut bool
	// Delay holds every piece back for so long; Jitter adds a random part, from 0 to Jitter. Order is kept.
	Delay, Jitter time.Duration
	// BytesPerSecond bounds the rate; 0 = no bound.
	BytesPerSecond int
}

// String is how reports name a fault.
func (f Fault) String() string {
	if f == (Fault{}) {
		return "healthy"
	}
	var parts []string
	if f.Cut {
		parts = append(parts, "cut")
	}
	if f.Delay > 0 || f.Jitter > 0 {
		parts = append(parts, fmt.Sprintf("delay %v+%v", f.Delay, f.Jitter))
	}
	if f.BytesPerSecond > 0 {
		parts = append(parts, fmt.Sprintf("%d B/s", f.BytesPerSecond))
	}
	return strings.Join(parts, ", ")
}
