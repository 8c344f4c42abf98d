package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The measuring is that of the harness's other peers in Go, so that the same thing is timed.

// line is what a workload prints.
type line map[string]any

func (l line) print(w io.Writer) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

// rounded has three places after the point.
func rounded(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }

// quantile of values; -1 when there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return -1
	}
	sorted := slices.Sorted(slices.Values(values))
	return rounded(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)])
}

func since(t time.Time) float64 { return float64(time.Since(t).Nanoseconds()) / 1e6 }

// spread calls f(i) for i in [0,n) from c goroutines until all are done or limit has passed.
func spread(c, n int, limit time.Duration, f func(i int) error) (ok, failed int, took time.Duration) {
	var next, good, bad atomic.Int64
	var all sync.WaitGroup
	started := time.Now()
	for range c {
		all.Go(func() {
			for time.Since(started) < limit {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err == nil {
					good.Add(1)
				} else if bad.Add(1) < 4 {
					fmt.Fprintln(os.Stderr, "op:", err)
				}
			}
		})
	}
	all.Wait()
	return int(good.Load()), int(bad.Load()), time.Since(started)
}

// paced calls f(i) at a rate per second, each in a goroutine of its own, and returns how many.
func paced(rate int, span time.Duration, f func(i int)) int {
	started := time.Now()
	n := int(float64(rate) * span.Seconds())
	var all sync.WaitGroup
	for i := range n {
		time.Sleep(time.Until(started.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		all.Go(func() { f(i) })
	}
	all.Wait()
	return n
}

// poll looks each 5 ms until f is true; false when the limit has passed.
func poll(limit time.Duration, f func() bool) bool {
	for end := time.Now().Add(limit); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
