package fsm

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestRecent_NeverDeniesAJobThatWasCreated: a wrong "no" would create a job twice.
func TestRecent_NeverDeniesAJobThatWasCreated(t *testing.T) {
	id := func(n uint64) (id JobID) {
		binary.BigEndian.PutUint64(id[:], n)
		return id
	}
	rapid.Check(t, func(r *rapid.T) {
		known, created := recent{floor: id(1000)}, map[uint64]bool{}
		at, spread := uint64(1000), rapid.Uint64Range(1, 5000).Draw(r, "spread")
		seed := rapid.Uint64().Draw(r, "seed")
		for range 3 * recentMax {
			seed = seed*6364136223846793005 + 1442695040888963407
			at++
			n := at - min(at, seed>>33%spread)
			if created[n] && known.lacks(id(n)) {
				r.Fatalf("job %d was created and is denied", n)
			}
			if n > 1000 {
				known.add(id(n))
				created[n] = true
			}
		}
	})
}
