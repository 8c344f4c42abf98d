package sim

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
)

func TestCluster_SeedsHold(t *testing.T) { hold(t, TierCluster, 4) }

func TestCore_SeedsHold(t *testing.T) { hold(t, TierCore, 20) }

// hold runs the first seeds of a tier. FANFOLD_SIM_SEEDS says how many, FANFOLD_SIM_SEED the first one.
func hold(t *testing.T, tier string, otherwise int) {
	first, seeds := number("FANFOLD_SIM_SEED", 1), number("FANFOLD_SIM_SEEDS", otherwise)
	logger := quiet
	if os.Getenv("FANFOLD_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p, err := Generate(tier, uint64(seed))
			if err != nil {
				t.Fatal(err)
			}
			r := simulate(t, p, logger)
			t.Logf("virtual %v cpu %v entries %d ops %d fired %v writes %v %+v digest %s", r.Virtual, r.CPU, r.Entries, r.Ops, r.Fired, r.Writes, r.Submissions, r.Digest)
			if r.Failed() {
				t.Error(r.Why(), r.Broken)
			}
		})
	}
}

func number(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}
