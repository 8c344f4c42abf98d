// Package workload is what a cluster is kept busy with during a run, and what has to be true of it afterwards.
package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	"github.com/fanfold/fanfold/sdk"
)

// Workload is one kind of work.
type Workload struct {
	Name  string
	About string
	// Units are the tasks that the worker processes offer. dir is the run's directory, for what tasks write
	// beside the cluster.
	Units func(dir string) []sdk.Registrable
	// Worker adjusts the configuration of the workers.
	Worker func(*sdk.WorkerConfig)
	// Spares is how many places for nodes there are that the workload makes join and leave.
	Spares int
	// Moves says that it moves the leader by itself.
	Moves bool
	// NodeArgs are settings of the nodes.
	NodeArgs []string
	// Hashes asks all nodes for their state's hash once a second during the load: a state that a snapshot has
	// brought is compared before it is replaced.
	Hashes bool
	// Run keeps the cluster busy until ctx ends; what is under way then is finished within what Load.Settle
	// allows. It may run many goroutines, and returns when all have ended.
	Run func(ctx context.Context, l *Load) error
	// Settle is called when everything is healed: every kind of operation has to succeed once more, and
	// every job has to end.
	Settle func(ctx context.Context, l *Load) error
	// Check judges what is special to the workload. The invariants that hold for every workload are in
	// package checker.
	Check func(e *evidence.Evidence) []evidence.Verdict
	// Weak says why a run proves nothing of what the workload is for. nil: the number of operations says enough.
	Weak func(e *evidence.Evidence) []string
}

// Load is what a workload works with.
type Load struct {
	Site    *site.Site
	Client  *sdk.Client
	History *history.Recorder
	Dir     string
	Seed    uint64
	Clients int
}

// Do records one operation. The error's kind decides what the client knows.
func (l *Load) Do(client, kind, key, value string, call func() (string, error)) (string, error) {
	op := history.Op{Client: client, Kind: kind, Key: key, Value: value, Begin: l.History.Now()}
	out, err := call()
	op.End = l.History.Now()
	op.Outcome = outcomeOf(err)
	if out != "" {
		op.Value = out
	}
	if err != nil {
		op.Error, op.Answer = err.Error(), codeOf(err)
	}
	l.History.Add(op)
	return out, err
}

// Ask records one operation that one node is asked for, and never repeated: call fills in what is answered.
func (l *Load) Ask(op history.Op, call func(*history.Op) error) (history.Op, error) {
	op.Begin = l.History.Now()
	err := call(&op)
	op.End = l.History.Now()
	op.Outcome = outcomeOf(err)
	if err != nil {
		op.Error = err.Error()
	}
	l.History.Add(op)
	return op, err
}

var all []Workload

func register(w Workload) { all = append(all, w) }

// All lists the workloads by name.
func All() []Workload {
	list := slices.Clone(all)
	slices.SortFunc(list, func(a, b Workload) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Find finds a workload by name.
func Find(name string) (Workload, error) {
	i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		var known []string
		for _, w := range All() {
			known = append(known, w.Name)
		}
		return Workload{}, fmt.Errorf("there is no workload %q; there are %s", name, strings.Join(known, ", "))
	}
	return all[i], nil
}

// opTimeout bounds one call of a client during the faults.
const opTimeout = 5 * time.Second
