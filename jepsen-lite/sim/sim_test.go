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

// A power failure at any write leaves nothing lost. All writes are for the command; here it is some of each node.
func TestWrites_NothingIsLost(t *testing.T) {
	p, err := scenario(1)
	if err != nil {
		t.Fatal(err)
	}
	whole := simulate(t, p, quiet)
	if whole.Failed() {
		t.Fatal(whole.Why())
	}
	for node, writes := range whole.Writes {
		if writes < 50 {
			t.Errorf("node %d writes only %d times", node, writes)
		}
		for i := range 2 {
			p.Crash = &CrashAt{Node: node, Write: writes * (2 + 3*i) / 6, After: i == 0}
			if r := simulate(t, p, quiet); r.Failed() {
				t.Errorf("crash %s: %s", p.Crash, r.Why())
			}
		}
	}
}
