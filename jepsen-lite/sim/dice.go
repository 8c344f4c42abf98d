package sim

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strconv"
)

// dice is a source of chance for one purpose. What falls depends on the seed, the purpose and how often it was
// asked, and on nothing else: a plan that was shrunk keeps the fates of what is left in it.
func dice(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, purpose)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func purpose(what string, n int) string { return what + strconv.Itoa(n) }
