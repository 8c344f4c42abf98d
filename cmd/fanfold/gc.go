package main

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent lets garbage grow to four times what lives: a node's live heap is small (the caches are
	// bounded), and collecting it as often as Go does by default took a fifth of a drain's processor time.
	gcPercent = 400
	// gcLimit is from where on the collector works harder instead, in bytes.
	gcLimit = 384 << 20
)

// tuneGC sets the collector for a node, unless GOGC or GOMEMLIMIT say otherwise.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(gcLimit)
	}
}
