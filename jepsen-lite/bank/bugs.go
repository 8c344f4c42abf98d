// Package bank tests the tester: it plants one bug at a time in Fanfold, runs the workload and the nemeses that
// should bring it out, and demands that the invariant that it breaks is found to be broken.
package bank

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/trial"
)

// Bug is one planted bug (package fsm/planted) and what has to catch it.
type Bug struct {
	Name     string
	Law      int    // of the design, section 7, that it breaks
	About    string // in one line
	Workload string
	Nemeses  []string
	Mode     string // "" = trial.Safety
	Clients  int    // 0: as many as by default
	Settle   string // "" = settle
	// Simulated says that it takes a failure of power to bring it out: simulations have that, processes do not.
	Simulated bool
	// Caught are the invariants of which one at least has to be found broken.
	Caught []string
}

// Bugs is the bank, in the order of the laws.
var Bugs = []Bug{
	{Name: "ackbeforecommit", Law: 1, About: "a submission is answered before it is in the log",
		Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"S1"}},
	{Name: "nofence", Law: 2, About: "a report under a lease that is over counts for the task's present one",
		Workload: "lease", Nemeses: []string{"pause-worker"}, Caught: []string{"A2", "A10"}},
	{Name: "expirestale", Law: 2, About: "a new leader takes the silence before its term for a worker's",
		Workload: "lease", Nemeses: []string{"kill-leader"}, Caught: []string{"A5"}},
	{Name: "rescue", Law: 3, About: "the end of a session puts back tasks whose results were accepted",
		Workload: "map-reduce", Nemeses: []string{"kill-worker"}, Caught: []string{"A4", "A10"}},
	{Name: "noparents", Law: 4, About: "a fold's node runs before the last of its children is done",
		Workload: "map-reduce", Nemeses: []string{"kill-worker"}, Caught: []string{"D1"}},
	{Name: "earlytimer", Law: 4, About: "a retry is due 50 ms too early",
		Workload: "map-reduce", Nemeses: []string{"kill-worker"}, Caught: []string{"A8"}},
	{Name: "earlystart", Law: 4, About: "a job starts 50 ms before its time",
		Workload: "timers", Nemeses: []string{"kill-leader"}, Caught: []string{"T1"}},
	{Name: "cancelgrants", Law: 4, About: "the tasks of a canceled job stay in their lanes",
		Workload: "dag", Nemeses: []string{"kill-worker"}, Caught: []string{"S7"}},
	{Name: "joinonce", Law: 5, About: "a result that is reported again is counted again by what waits for it",
		Workload: "map-reduce", Nemeses: []string{"kill-leader"}, Caught: []string{"D1", "D3", "D5", "D7"}},
	{Name: "freeattempt", Law: 6, About: "a lease that was lost with its worker is not charged",
		Workload: "lease", Nemeses: []string{"kill-worker"}, Caught: []string{"A3"}},
	{Name: "chunklost", Law: 7, About: "the next item of each map is lost when another node begins to lead",
		Workload: "map-reduce", Nemeses: []string{"kill-leader"}, Caught: []string{"D2", "L1"}},
	{Name: "lostwake", Law: 7, About: "what a concurrency limit has held back is not looked at again when there is room",
		Workload: "timers", Clients: 32, Settle: manyClients, Caught: []string{"L1", "D7"}},
	{Name: "twocmdcron", Law: 8, About: "a tick makes its job twice",
		Workload: "timers", Nemeses: []string{"kill-leader"}, Caught: []string{"T2"}},
	{Name: "uniquefree", Law: 9, About: "a unique key is free as soon as its holder starts",
		Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"S9"}},
	{Name: "throttleends", Law: 9, About: "a throttled key is free when its job has ended",
		Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"S9"}},
	{Name: "fullbucket", Law: 10, About: "what rate limits have counted is forgotten when another node begins to lead",
		Workload: "timers", Nemeses: []string{"transfer"}, Clients: 32, Settle: manyClients, Caught: []string{"T4"}},
	{Name: "maporder", Law: 11, About: "which free session gets a lease depends on the order of a Go map",
		Workload: "submit", Nemeses: []string{"kill-one"}, Caught: []string{"X1"}},
	{Name: "indexsplit", Law: 11, About: "the applied index is not in the batch of the data",
		Workload: "submit", Nemeses: []string{"kill-one"}, Caught: []string{"X1", "X3"}},
	{Name: "doubleapply", Law: 11, About: "the last entries before a restart are applied again after it",
		Workload: "submit", Nemeses: []string{"kill-one"}, Caught: []string{"X1", "X3"}},
	{Name: "snapskip", Law: 11, About: "a snapshot is restored without the timers",
		Workload: "snapshot", Nemeses: []string{"kill-one"}, Caught: []string{"X1", "X4"}},
	{Name: "staleread", Law: 12, About: "linearizable reads are answered from the state of whichever node was asked",
		Workload: "register", Nemeses: []string{"pause-leader"}, Caught: []string{"C1"}},
	{Name: "sharedverify", Law: 12, About: "a leader asks a majority only once whether it leads",
		Workload: "register", Nemeses: []string{"pause-leader"}, Caught: []string{"C1"}},
	{Name: "unknownpending", Law: 13, About: "an unknown job is answered as one that runs",
		Workload: "register", Nemeses: []string{"pause-leader"}, Caught: []string{"C1"}},
	{Name: "keyfirst", Law: 13, About: "the idempotency key of a submission is kept although the submission is refused",
		Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"S10"}},
	{Name: "ackbeforefsync", Law: 14, About: "an entry counts as stored before the disk has it", Simulated: true, Caught: []string{"S1", "X2", "L1", "L5"}},
	{Name: "swallowerror", Law: 14, About: "an error of the log's disk is ignored",
		Workload: "submit", Nemeses: []string{"disk-error"}, Caught: []string{"S1", "X2", "L1", "L5"}},
	{Name: "restless", Law: 14, About: "a leader hands leadership on every 3 s", Workload: "submit", Mode: trial.Quiet, Caught: []string{"L2"}},
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

// load and settle are how long a run of processes has its load, and to settle after it. Where a bug makes jobs wait
// for ever, all of the latter is waited for; the controls show that it is enough without one.
const load, settle = "15s", "30s"

// manyClients is how long the timers workload takes to settle with 32 clients: they submit more than its window of 8
// tasks in 6 s lets through in the time of the load.
const manyClients = "90s"

// seedsOfRun is how many simulations count as one run.
const seedsOfRun = 100

func (b *Bug) cell() string {
	if b.Simulated {
		return fmt.Sprintf("sim, %d seeds", seedsOfRun)
	}
	if len(b.Nemeses) == 0 {
		return strings.TrimSuffix(b.Workload+", "+b.Mode, ", ")
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
	if b.Simulated {
		return []string{"sim", "--first", fmt.Sprint(seed * seedsOfRun), "--seeds", fmt.Sprint(seedsOfRun), "--stop", "1", "--shrink=false"}
	}
	args := []string{"run", "--workload", b.Workload}
	if len(b.Nemeses) > 0 {
		args = append(args, "--nemesis", strings.Join(b.Nemeses, ","))
	}
	if b.Mode != "" {
		args = append(args, "--mode", b.Mode)
	}
	if b.Clients > 0 {
		args = append(args, "--clients", fmt.Sprint(b.Clients))
	}
	return append(args, "--time", load, "--settle", cmp.Or(b.Settle, settle), "--seed", fmt.Sprint(seed))
}

// inDir adds where a run leaves its evidence; simulations leave none.
func (b *Bug) inDir(args []string, dir string) []string {
	if b.Simulated {
		return args
	}
	return append(args, "--dir", dir)
}

// command is what people type to repeat a run.
func (b *Bug) command(seed uint64) string {
	tags := "bug_" + b.Name
	if b.chaos() {
		tags += ",chaos"
	}
	return "go run -tags " + tags + " ./jepsen-lite " + strings.Join(b.arguments(seed), " ")
}
