package dag

import (
	"math"
	"math/bits"
)

// Defaults of Options and Retry.
const (
	DefaultQueue         = "default"
	DefaultPriority      = 6
	DefaultMaxParallel   = 10_000
	DefaultFanIn         = 16
	DefaultMaxAttempts   = 25
	DefaultCrashLimit    = 3
	DefaultFactorMilli   = 2_000
	DefaultCapMS         = 24 * 60 * 60 * 1000
	DefaultJitterPercent = 10
)

// WithDefaults returns the options with every zero field filled.
func (o Options) WithDefaults() Options {
	fill(&o.Queue, DefaultQueue)
	fill(&o.Priority, DefaultPriority)
	fill(&o.MaxParallel, DefaultMaxParallel)
	fill(&o.FanIn, DefaultFanIn)
	o.Retry = o.Retry.WithDefaults()
	return o
}

// WithDefaults returns the policy with every zero field filled, except FirstMS, where 0 chooses the
// curve.
func (r Retry) WithDefaults() Retry {
	fill(&r.MaxAttempts, DefaultMaxAttempts)
	fill(&r.CrashLimit, DefaultCrashLimit)
	fill(&r.FactorMilli, DefaultFactorMilli)
	fill(&r.CapMS, DefaultCapMS)
	fill(&r.JitterPercent, DefaultJitterPercent)
	return r
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// DelayMS is how long a task waits before its next attempt after it has failed so many times, in
// milliseconds. It counts failures from 1 (0 is taken as 1). Unfilled fields have their defaults.
//
// Without FirstMS the delay is Sidekiq's curve n^4+15 seconds, where n counts the earlier failures:
// 15 s, 16 s, 31 s, 96 s ... With it the delay grows by FactorMilli with every failure. CapMS bounds
// both, and jitter takes up to JitterPercent away.
//
// It is integers only: math.Pow may differ in its last bit between processors, and then replicas
// would disagree. The jitter is a hash of the seed, which the caller derives from ids, and of
// failures, so that it needs no source of randomness.
func (r Retry) DelayMS(failures uint32, seed uint64) int64 {
	r = r.WithDefaults()
	failures = max(failures, 1)
	limit := uint64(max(r.CapMS, 0))
	var delay uint64
	if r.FirstMS <= 0 {
		delay = curveMS(uint64(failures - 1))
	} else {
		delay = growMS(uint64(r.FirstMS), uint64(r.FactorMilli), failures, limit)
	}
	delay = min(delay, limit)
	if r.JitterPercent <= 0 {
		return int64(delay)
	}
	percent := min(uint64(r.JitterPercent), 100)
	spread := delay/100*percent + delay%100*percent/100
	return int64(delay - splitmix64(seed+uint64(failures)*goldenGamma)%(spread+1))
}

// curveMS is n^4+15 seconds, or the largest number when that is more.
func curveMS(n uint64) uint64 {
	if n > 10_000 { // 10,000^4 s is 300 million years
		return math.MaxInt64
	}
	return (n*n*n*n + 15) * 1000
}

// growMS is first * (factor/1000)^(failures-1), or limit when that is less. Every step rounds down, but
// adds 1 ms at least, so that a small delay grows too.
func growMS(first, factorMilli uint64, failures uint32, limit uint64) uint64 {
	delay := first
	if factorMilli <= 1000 {
		failures = 1 // the delay never changes
	}
	for i := uint32(1); i < failures && delay < limit; i++ {
		high, low := bits.Mul64(delay, factorMilli)
		if high >= 1000 {
			return limit // the quotient would not fit
		}
		grown, _ := bits.Div64(high, low, 1000)
		delay = max(grown, delay+1)
	}
	return min(delay, limit)
}

// goldenGamma is the step of Steele, Lea and Flood's splitmix64.
const goldenGamma = 0x9e3779b97f4a7c15

// splitmix64 turns a number into one that looks random (Vigna's mixing of the generator's state).
func splitmix64(x uint64) uint64 {
	x += goldenGamma
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
