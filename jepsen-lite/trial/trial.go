// Package trial runs a workload on a cluster that is being broken, and judges what came of it.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/checker"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/report"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
	"github.com/fanfold/fanfold/jepsen-lite/workload"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Config says what to run. Zero means default.
type Config struct {
	Nodes, Workers int           // 3 and 4
	Clients        int           // 8
	Workload       string        // "submit"
	Nemeses        []string      // none: nothing goes wrong
	Time           time.Duration // of the load; 30 s
	Settle         time.Duration // for all jobs to end when everything is healed; 5 min
	Seed           uint64        // 0: drawn
	Mode           string        // Safety, Liveness or Quiet; Safety
	Race           bool          // the nodes are built with the race detector
	LogStore       string        // where the nodes keep their logs: "wal" or "bolt"; "wal"
	Dir            string        // empty directory for everything that the run leaves
	// Command starts a process of the run: an executable, and the arguments before the sub-command.
	Command []string
	// NodeBinary is a jepsen-lite that the nodes run instead: for nemeses inside the nodes one built with the
	// tag chaos. "": Command's, or one that is built when a nemesis needs it.
	NodeBinary string
	// BuildDir is where that one is built, for many trials that share it. "": Dir.
	BuildDir string
	// Program is how people start it: the words before "run".
	Program string
	Note    func(format string, args ...any) // what happens, for people
}

func (c Config) withDefaults() Config {
	c.Nodes, c.Workers, c.Clients = cmp.Or(c.Nodes, 3), cmp.Or(c.Workers, 4), cmp.Or(c.Clients, 8)
	c.Workload = cmp.Or(c.Workload, "submit")
	c.Mode, c.LogStore = cmp.Or(c.Mode, Safety), cmp.Or(c.LogStore, "wal")
	c.Program = cmp.Or(c.Program, "go run ./jepsen-lite")
	c.Time, c.Settle = cmp.Or(c.Time, 30*time.Second), cmp.Or(c.Settle, settlePatience)
	for c.Seed == 0 {
		c.Seed = rand.Uint64N(1 << 32)
	}
	if c.Note == nil {
		c.Note = func(string, ...any) {}
	}
	return c
}

const (
	startPatience = 60 * time.Second
	// settlePatience is long, for machines that do much beside: three nodes that get a tenth of a core elect
	// leaders that step down again. How soon a cluster goes on is told by the gaps, and asked for by liveness runs.
	settlePatience = 5 * time.Minute
	stopPatience   = 20 * time.Second
	// leastOps is how many operations have to succeed for a run to prove anything.
	leastOps = 50
)

// trial is a run under way.
type trial struct {
	Config
	work    workload.Workload
	nemeses []nemesis.Nemesis
	site    *site.Site
	client  *sdk.Client
	history *history.Recorder
	found   evidence.Evidence

	nodeCommand []string // nil: Command
	breakable   bool     // a nemesis inside the nodes is among them
}

// Run runs one trial. An error means that it could not be run or judged; what it found is in the summary.
func Run(ctx context.Context, c Config) (_ *Summary, err error) {
	t := &trial{Config: c.withDefaults()}
	t.found.Dir = t.Dir
	if _, err := cluster.LogsIn(t.LogStore); err != nil {
		return nil, err
	}
	if t.work, err = workload.Find(t.Workload); err != nil {
		return nil, err
	}
	if t.nemeses, err = nemesis.Find(t.Nemeses); err != nil {
		return nil, err
	}
	t.found.Moves = t.work.Moves
	if err := t.chooseMode(); err != nil {
		return nil, err
	}
	if err := t.chooseNodes(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := t.load(ctx); err != nil {
		return nil, err
	}
	return t.judge(ctx, time.Since(began))
}

// load runs the processes from start to end, and gathers the evidence that only they can give.
func (t *trial) load(ctx context.Context) (err error) {
	t.site, err = site.New(site.Config{
		Dir: t.Dir, Nodes: t.Nodes, Workers: t.Workers, Spares: t.work.Spares, Command: t.Command, NodeCommand: t.nodeCommand, Breakable: t.breakable,
		NodeArgs: t.nodeArgs(), WorkerArgs: []string{"--workload", t.Workload, "--dir", t.Dir},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.site.Close()) }()
	ready, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := t.site.Start(ready); err != nil {
		return err
	}
	if t.client, err = t.site.NewClient(); err != nil {
		return err
	}
	defer t.client.Close()
	if t.history, err = history.Create(filepath.Join(t.Dir, "history.jsonl")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.history.Close()) }()

	load := &workload.Load{Site: t.site, Client: t.client, History: t.history, Dir: t.Dir, Seed: t.Seed, Clients: t.Clients}
	working, cancel := context.WithTimeout(ctx, t.Time)
	defer cancel()
	var both, watching sync.WaitGroup
	var workErr, faultErr error
	watched, unwatch := context.WithCancel(ctx)
	defer watching.Wait()
	defer unwatch()
	watching.Go(func() { t.watch(watched) })
	both.Go(func() { workErr = t.work.Run(working, load) })
	both.Go(func() { faultErr = t.strike(working, ctx) })
	both.Wait()
	t.found.Start, t.found.Load = t.history.Start(), t.history.Now()
	if err := errors.Join(workErr, faultErr); err != nil {
		return err
	}
	if err := t.revive(); err != nil {
		return err
	}
	t.Note("settling: every acknowledged operation has to be there")
	settling, cancel := context.WithTimeout(ctx, t.Settle)
	defer cancel()
	settled := evidence.Verdict{ID: "L1", Rule: "after healing, every job ends and every kind of operation succeeds", Count: 1}
	if err := t.work.Settle(settling, load); err != nil {
		settled.Violate(err.Error())
	}
	t.found.Settled = append(t.found.Settled, settled)
	unwatch()
	watching.Wait()
	return t.finish(ctx)
}

// strike lets the nemeses act one after another, in random order and with random pauses, all from the seed.
func (t *trial) strike(working, ctx context.Context) error {
	switch {
	case len(t.nemeses) == 0:
		return nil
	case t.Mode == Liveness:
		return t.strikeForGood(working, ctx)
	}
	r := rand.New(rand.NewPCG(t.Seed, 1<<32))
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(r.Int64N(int64(most-least+1)))
	}
	wait := func(d time.Duration) bool {
		select {
		case <-working.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	for n := 0; wait(between(500*time.Millisecond, 2*time.Second)); n++ {
		nem := t.nemeses[n%len(t.nemeses)]
		if n >= len(t.nemeses) {
			nem = t.nemeses[r.IntN(len(t.nemeses))]
		}
		finding, cancel := context.WithTimeout(ctx, startPatience)
		begin := t.history.Now()
		target, heal, err := nem.Strike(finding, t.site, r)
		cancel()
		if err != nil {
			return fmt.Errorf("nemesis %s: %w", nem.Name, err)
		}
		t.Note("%6.1fs  %s: %s", begin.Seconds(), nem.Name, target)
		wait(between(nem.Least, nem.Most))
		effect, err := heal(ctx)
		if err := t.prove(nem, err); err != nil {
			return fmt.Errorf("nemesis %s: heal: %w", nem.Name, err)
		}
		end := t.history.Now()
		t.Note("%6.1fs  healed: %s", end.Seconds(), cmp.Or(effect, "it had NO effect"))
		t.found.Faults = append(t.found.Faults, evidence.Fault{Nemesis: nem.Name, Target: target, Begin: begin, End: end, Effect: effect})
	}
	return nil
}

// prove counts what a strike says of the invariant that its nemesis puts to the test, and returns an error that
// says nothing of it.
func (t *trial) prove(nem nemesis.Nemesis, err error) error {
	if nem.Proves == nil {
		return err
	}
	i := slices.IndexFunc(t.found.Settled, func(v evidence.Verdict) bool { return v.ID == nem.Proves.ID && v.Rule == nem.Proves.Text })
	if i < 0 {
		i = len(t.found.Settled)
		t.found.Settled = append(t.found.Settled, evidence.Verdict{ID: nem.Proves.ID, Rule: nem.Proves.Text})
	}
	t.found.Settled[i].Count++
	var broken *nemesis.Broken
	if errors.As(err, &broken) {
		t.Note("BROKEN: %v", err)
		t.found.Settled[i].Violate(broken.What)
		return nil
	}
	return err
}

// finish asks the healed nodes for their last word, and stops everything. A cluster that has not settled may be unable
// to take the command that asks for hashes: it is judged by what its nodes have applied.
func (t *trial) finish(ctx context.Context) error {
	patience, settled := settlePatience, true
	for i := range t.found.Settled {
		v := &t.found.Settled[i]
		settled = settled && (v.ID != "L1" || v.Held())
	}
	if !settled {
		patience = t.Settle
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := t.revive(); err != nil {
		return err
	}
	if err := t.site.StopWorkers(ctx); err != nil {
		t.found.Exits = append(t.found.Exits, err.Error())
	}
	asked, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	hashed := t.hashes(asked)
	if hashed != nil && settled {
		return hashed
	}
	for _, n := range t.site.Nodes {
		looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
		st, err := t.site.Status(looking, n)
		cancel()
		if err != nil && (t.gone(n) || !settled) {
			continue
		}
		if err != nil {
			return fmt.Errorf("node %s after healing: %w", n.ID, err)
		}
		t.found.Counters = st.GetCounters()
		if hashed != nil {
			t.found.FinalIndex = max(t.found.FinalIndex, st.GetAppliedIndex())
		}
	}
	stopping, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if err := t.site.StopNodes(stopping); err != nil {
		t.found.Exits = append(t.found.Exits, err.Error())
	}
	return nil
}

// hashes makes every node compute its state's hash at one index. A node that a snapshot takes past that index never
// applies the command and knows no hash: then all are asked anew, at a later index.
func (t *trial) hashes(ctx context.Context) error {
	const tries = 3
	for n := 1; ; n++ {
		all, err := t.hashesOnce(ctx)
		if err != nil || all || n == tries {
			return err
		}
	}
}

// hashesOnce reports whether all nodes knew their hash.
func (t *trial) hashesOnce(ctx context.Context) (all bool, err error) {
	var index uint64
	err = t.client.Call(ctx, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		answer, err := api.HashState(ctx, connect.NewRequest(&apiv1.HashStateRequest{}))
		if err == nil {
			index = answer.Msg.GetIndex()
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("ask for the state's hash: %w", err)
	}
	all = true
	t.found.Final, t.found.FinalIndex = map[string]string{}, index
	for _, n := range t.site.Nodes {
		hash, err := t.hash(ctx, n, index)
		if err != nil && t.gone(n) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("the hash of node %s: %w", n.ID, err)
		}
		t.found.Final[n.ID] = hash
		all = all && hash != ""
	}
	return all, nil
}

// hash asks one node, and again while it cannot be reached: it may have come back just now, and the client hold
// a connection to its former life.
func (t *trial) hash(ctx context.Context, n *site.Node, index uint64) (string, error) {
	api, err := t.client.At(n.API)
	if err != nil {
		return "", err
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := api.NodeHash(ctx, connect.NewRequest(&apiv1.NodeHashRequest{Index: index, WaitMs: 20_000}))
		if err == nil {
			return answer.Msg.GetHash(), nil
		}
		if connect.CodeOf(err) != connect.CodeUnavailable || t.gone(n) {
			return "", err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return "", err
		}
	}
}

// judge reads the stopped nodes' logs and checks everything.
func (t *trial) judge(ctx context.Context, took time.Duration) (*Summary, error) {
	var nodes []ledger.Node
	for _, n := range t.site.Nodes {
		nodes = append(nodes, ledger.Node{ID: n.ID, Data: n.Data, Archive: n.Archive, Applied: t.found.FinalIndex})
	}
	for _, f := range t.site.Formers {
		nodes = append(nodes, ledger.Node{ID: f.ID, Data: f.Data, Archive: f.Archive, Applied: f.Applied, Left: true})
	}
	book, err := ledger.Read(ctx, nodes, false)
	if book != nil {
		defer book.Close()
	}
	if err != nil {
		return nil, err
	}
	book.ReadDamaged(ctx, t.site.Damaged)
	t.found.Ledger, t.found.Ops, t.found.Duration = book, t.history.Ops(), took
	if t.found.Output, err = t.readOutput(); err != nil {
		return nil, err
	}
	if t.found.Vitals, err = t.readVitals(); err != nil {
		return nil, err
	}
	s := &Summary{
		Workload: t.Workload, Nemeses: t.Nemeses, Nodes: t.Nodes, Workers: t.Workers, LogStore: t.LogStore, Seed: t.Seed, Seconds: took.Seconds(),
		Operations: count(t.found.Ops), Entries: len(book.Entries), Faults: t.found.Faults, Dir: t.Dir,
		Again: t.again(),
	}
	s.Recoveries = timeline.Recoveries(t.found.Ops, t.found.Faults, t.found.Load)
	if t.Mode == Safety && len(t.nemeses) > 0 {
		t.found.Settled = append(t.found.Settled, recovered(s.Recoveries))
	}
	s.Mode, s.Vitals, s.Lag = t.Mode, t.found.Vitals, t.found.Lag
	s.Verdicts = append(append(t.found.Settled, checker.Check(&t.found)...), t.work.Check(&t.found)...)
	s.Submissions = t.found.Submissions
	s.Invalid = t.validity()
	s.Gaps = timeline.Gaps(t.found.Ops, t.found.Faults, t.found.Load)
	s.LongestGap = timeline.Longest(s.Gaps)
	s.Leaders = timeline.Leaders(book.Entries, t.found.Start)
	return s, report.Write(filepath.Join(t.Dir, "report.html"), report.Run{
		Workload: s.Workload, Nemeses: s.Nemeses, Nodes: s.Nodes, Workers: s.Workers, LogStore: s.LogStore, Seed: s.Seed, Seconds: s.Seconds, Again: s.Again,
		Verdicts: s.Verdicts, Invalid: s.Invalid, Submissions: s.Submissions, Gaps: s.Gaps, Leaders: s.Leaders,
	}, &t.found)
}

// validity says why a run proves nothing.
func (t *trial) validity() (why []string) {
	ok := 0
	for _, op := range t.found.Ops {
		if op.Outcome == history.OK {
			ok++
		}
	}
	if ok < leastOps {
		why = append(why, "only "+strconv.Itoa(ok)+" operations succeeded: too little load to prove anything")
	}
	if starved := checker.Starved(&t.found); t.Mode == Quiet && starved != "" {
		why = append(why, "whether the leader stays cannot be judged: "+starved)
	}
	if t.work.Weak != nil {
		why = append(why, t.work.Weak(&t.found)...)
	}
	struck := map[string]bool{}
	for _, f := range t.found.Faults {
		struck[f.Nemesis] = struck[f.Nemesis] || f.Effect != ""
	}
	for _, n := range t.nemeses {
		if !struck[n.Name] {
			why = append(why, "the nemesis "+n.Name+" had no effect that was observed: give the run more --time")
		}
	}
	return why
}
