//go:build !unix

package sim

import "time"

// cpuTime is the time since the process began, where its processor time is not to be had.
func cpuTime() time.Duration { return time.Since(began) }

var began = time.Now()
