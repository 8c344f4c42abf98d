package sim

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is printed of a plan that was shrunk leads to that plan again.
func TestArguments_KeepRepeatsThem(t *testing.T) {
	whole, err := Generate(TierCluster, 4)
	if err != nil {
		t.Fatal(err)
	}
	p := whole
	p.Ops, p.Faults = p.Ops[1:3], nil
	p.Load /= 2
	p.Crash = &CrashAt{Node: 1, Write: 7, After: true}
	k := Keep{Ops: ids(p.Ops, func(o Op) int { return o.ID }), Faults: "none", Load: p.Load, Crash: p.Crash.String()}
	got := whole
	if err := k.Of(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Errorf("the plan differs (-want +got):\n%s", diff)
	}
	if err := (Keep{Faults: "999"}).Of(&got); err == nil {
		t.Error("a fault that the plan does not have is kept")
	}
}

// Whatever pair of elements a failure needs is what shrinking ends with.
func TestWithout_EndsWithWhatIsNeeded(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 20} {
		for a := range n {
			for b := a; b < n; b++ {
				list := make([]int, n)
				for i := range list {
					list[i] = i
				}
				for {
					before := len(list)
					err := without(len(list), func(from, to int) (bool, error) {
						less := slices.Delete(slices.Clone(list), from, to)
						if !slices.Contains(less, a) || !slices.Contains(less, b) {
							return false, nil
						}
						list = less
						return true, nil
					})
					if err != nil {
						t.Fatal(err)
					}
					if len(list) == before {
						break
					}
				}
				if want := slices.Compact([]int{a, b}); !slices.Equal(list, want) {
					t.Fatalf("of %d, %v is left, want %v", n, list, want)
				}
			}
		}
	}
}
