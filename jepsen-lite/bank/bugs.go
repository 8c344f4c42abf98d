// Package bank tests the tester: it plants one bug at a time in Fanfold, runs the workload and the nemeses that
// should bring it out, and demands that the invariant that it breaks is found to be broken.
package bank

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
)

// Bug is one planted bug (package fsm/planted) and what has to catch it.
type Bug struct {
	Name     string
	Law      int    // of the design, section 7, that it breaks
	About    string // in one line
	Workload string
	Nemeses  []string
	// Caught are the invariants of which one at least has to be found broken.
	Caught []string
	// Time is how long the load lasts. 0 = 15 s.
	Time time.Duration
}

// Bugs is the bank, in the order of the laws.
var Bugs = []Bug{
	{Name: "ackbeforecommit", Law: 1, About: "a submission is answered before it is in the log",
		Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"S1"}},
	{Name: "nofence", Law: 2, About: "a report under a lease that is over counts for the task's present one",
		Workload: "lease", Nemeses: []string{"pause-worker"}, Caught: []string{"A2", "A10"}},
	{Name: "rescue", Law: 3, About: "the end of a session puts back tasks whose results were accepted",
		Workload: "map-reduce", Nemeses: []string{"kill-worker"}, Caught: []string{"A4", "A10"}},
	{Name: "noparents", Law: 4, About: "a fold's node runs before the last of its children is done",
		Workload: "map-reduce", Caught: []string{"D1"}},
	{Name: "earlytimer", Law: 4, About: "a retry is due 50 ms too early",
		Workload: "map-reduce", Caught: []string{"A8", "T1"}},
	{Name: "joinonce", Law: 5, About: "a result that is reported again is counted again by what waits for it",
		Workload: "map-reduce", Nemeses: []string{"kill-leader"}, Caught: []string{"D1", "D3", "D5", "D7"}},
	{Name: "freeattempt", Law: 6, About: "a lease that was lost with its worker is not charged",
		Workload: "lease", Nemeses: []string{"kill-worker"}, Caught: []string{"A3"}},
	{Name: "chunklost", Law: 7, About: "the next item of each map is lost when another node begins to lead",
		Workload: "map-reduce", Nemeses: []string{"kill-leader"}, Caught: []string{"D2", "L1"}},
	{Name: "maporder", Law: 11, About: "which free session gets a lease depends on the order of a Go map",
		Workload: "submit", Caught: []string{"X1"}},
	{Name: "indexsplit", Law: 11, About: "the applied index is not in the batch of the data",
		Workload: "submit", Nemeses: []string{"kill-one"}, Caught: []string{"X1", "X3"}},
	{Name: "doubleapply", Law: 11, About: "entries that were applied before a restart are applied again",
		Workload: "submit", Nemeses: []string{"kill-one"}, Caught: []string{"X1", "X3"}},
}

// Find finds bugs by their names; none are all.
func Find(names []string) (found []Bug, err error) {
	for _, name := range names {
		i := slices.IndexFunc(Bugs, func(b Bug) bool { return b.Name == name })
		if i < 0 {
			var known []string
			for _, b := range Bugs {
				known = append(known, b.Name)
			}
			return nil, fmt.Errorf("there is no bug %q in the bank; there are %s", name, strings.Join(known, ", "))
		}
		found = append(found, Bugs[i])
	}
	if len(names) == 0 {
		found = Bugs
	}
	return found, nil
}

func (b *Bug) cell() string {
	if len(b.Nemeses) == 0 {
		return b.Workload
	}
	return b.Workload + " × " + strings.Join(b.Nemeses, ",")
}

// chaos reports whether a nemesis of the bug needs the faults inside a node.
func (b *Bug) chaos() bool {
	all, err := nemesis.Find(b.Nemeses)
	return err == nil && slices.ContainsFunc(all, func(n nemesis.Nemesis) bool { return n.Inside })
}

// arguments are those of the run.
func (b *Bug) arguments(seed uint64) []string {
	args := []string{"run", "--workload", b.Workload}
	if len(b.Nemeses) > 0 {
		args = append(args, "--nemesis", strings.Join(b.Nemeses, ","))
	}
	load := b.Time
	if load == 0 {
		load = 15 * time.Second
	}
	return append(args, "--time", load.String(), "--seed", fmt.Sprint(seed))
}

// command is what people type to repeat a run.
func (b *Bug) command(seed uint64) string {
	tags := "bug_" + b.Name
	if b.chaos() {
		tags += ",chaos"
	}
	return "go run -tags " + tags + " ./jepsen-lite " + strings.Join(b.arguments(seed), " ")
}
