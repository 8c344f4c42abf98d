package dag

import (
	"testing"

	"pgregory.net/rapid"
)

// TestDelayMS_StaysInItsRange: for random policies a delay is within [d*(100-j)/100, d], never above
// the cap, and grows with failures when there is no jitter.
func TestDelayMS_StaysInItsRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retry{
			FirstMS:       rapid.Int64Range(0, MaxDurationMS).Draw(t, "first"),
			FactorMilli:   rapid.Uint32Range(1000, MaxFactorMilli).Draw(t, "factor"),
			CapMS:         rapid.Int64Range(0, MaxDurationMS).Draw(t, "cap"),
			JitterPercent: rapid.Int32Range(1, 100).Draw(t, "jitter"),
		}
		plain := r
		plain.JitterPercent = -1
		failures := rapid.Uint32().Draw(t, "failures")
		full := plain.DelayMS(failures, 0)
		got := r.DelayMS(failures, rapid.Uint64().Draw(t, "seed"))
		if low := full - full*int64(r.JitterPercent)/100; got < low || got > full {
			t.Fatalf("delay %d, want %d to %d", got, low, full)
		}
		if full > r.WithDefaults().CapMS {
			t.Fatalf("delay %d above the cap", full)
		}
		if before := plain.DelayMS(failures/2, 0); before > full {
			t.Fatalf("delay %d after %d failures, %d after %d", before, failures/2, full, failures)
		}
	})
}

// TestDelayMS_JitterSpreads: seeds that follow each other do not end up together.
func TestDelayMS_JitterSpreads(t *testing.T) {
	r := Retry{FirstMS: 100_000, JitterPercent: 100}
	const seeds, buckets = 10_000, 10
	var in [buckets]int
	for seed := range uint64(seeds) {
		in[r.DelayMS(1, seed)*buckets/100_001]++
	}
	for i, n := range in {
		if n < seeds/buckets*8/10 || n > seeds/buckets*12/10 {
			t.Errorf("%d of %d delays in tenth %d: %v", n, seeds, i, in)
		}
	}
}
