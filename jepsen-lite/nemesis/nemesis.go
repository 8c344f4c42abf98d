// Package nemesis is what goes wrong during a run.
package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/site"
)

// Nemesis is one kind of fault. Strike makes it happen and returns what it hit; heal undoes it and says
// what effect was observed ("" = none: the run is invalid then).
type Nemesis struct {
	Name string
	// About says in one line what it does.
	About string
	// Least and Most bound how long a strike lasts before it is healed.
	Least, Most time.Duration
	// Inside says that it happens inside the nodes, which must be built with the tag chaos for it.
	Inside bool
	// Namespace says that the run needs a network namespace of its own for it. Matrices leave it out: their runs
	// share one.
	Namespace bool
	// Proves is the invariant that it puts to the test by itself, and breaks with a *Broken error of heal; nil: none.
	Proves *Rule
	Strike func(ctx context.Context, s *site.Site, r *rand.Rand) (target string, heal func(context.Context) (effect string, err error), err error)
}

// Rule is an invariant.
type Rule struct{ ID, Text string }

// Broken is an error of heal: the nemesis is over, and has found that its invariant does not hold.
type Broken struct{ What string }

func (b *Broken) Error() string { return b.What }

var all []Nemesis

func register(n Nemesis) { all = append(all, n) }

// All lists the nemeses by name.
func All() []Nemesis {
	list := slices.Clone(all)
	slices.SortFunc(list, func(a, b Nemesis) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Find finds nemeses by their names.
func Find(names []string) ([]Nemesis, error) {
	var found []Nemesis
	for _, name := range names {
		i := slices.IndexFunc(all, func(n Nemesis) bool { return n.Name == name })
		if i < 0 {
			var known []string
			for _, n := range All() {
				known = append(known, n.Name)
			}
			return nil, fmt.Errorf("there is no nemesis %q; there are %s", name, strings.Join(known, ", "))
		}
		found = append(found, all[i])
	}
	return found, nil
}
