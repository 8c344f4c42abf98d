package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// quantile returns the q-quantile (0 to 1) of the spans, in milliseconds. It sorts them.
func quantile(spans []time.Duration, q float64) float64 {
	if len(spans) == 0 {
		return 0
	}
	slices.Sort(spans)
	return milliseconds(spans[min(int(q*float64(len(spans))), len(spans)-1)])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// rate is how many per second.
func rate(n int, span time.Duration) float64 { return float64(n) / span.Seconds() }

// fsyncTime is the median time of a small write and its fsync in a folder, in milliseconds: the condition
// that explains most of the other figures.
func fsyncTime(dir string) (float64, error) {
	path := filepath.Join(dir, "fsync-probe")
	file, err := os.Create(path)
	if err != nil {
		return 0, fmt.Errorf("probe the disk: %w", err)
	}
	defer os.Remove(path)
	defer file.Close()
	var spans []time.Duration
	block := make([]byte, 4096)
	for range 50 {
		started := time.Now()
		if _, err := file.Write(block); err != nil {
			return 0, fmt.Errorf("probe the disk: %w", err)
		}
		if err := file.Sync(); err != nil {
			return 0, fmt.Errorf("probe the disk: %w", err)
		}
		spans = append(spans, time.Since(started))
	}
	return quantile(spans, 0.5), nil
}
