package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// TestRandomCommands drives the machine by random commands, jumps of time, restarts and restores from
// snapshots. After every entry the invariants are recomputed (Options.CheckInvariants) and the history
// is held against the laws; at the end the log is replayed into empty machines, grouped otherwise, and
// every hash has to be the same.
func TestRandomCommands(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(t, rt)
		defer func() { s.h.m.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"":         s.check,
			"submit":   s.submit,
			"open":     s.open,
			"close":    s.close,
			"drain":    s.drain,
			"prefetch": s.prefetch,
			"report":   s.report,
			"report2":  s.report,
			"report3":  s.report,
			"zombie":   s.zombie,
			"save":     s.save,
			"log":      s.log,
			"time":     s.time,
			"cancel":   s.cancel,
			"retry":    s.retry,
			"purge":    s.purge,
			"webhook":  s.webhook,
			"webhook2": s.webhook,
			"schedule": s.schedule,
			"silent":   s.silent,
			"redrive":  s.redrive,
			"discard":  s.discard,
			"reopen":   func(*rapid.T) { s.h.reopen() },
			"snapshot": s.snapshot,
			"queues":   s.queues,
			"bound":    s.bound,
			"weights":  s.weights,
			"unique":   s.unique,
			"unique2":  s.unique,
			"batch":    s.batch,
		})
		s.settle(rt)
		for _, n := range []int{1, 7, 1000} {
			s.h.replay(n)
		}
	})
}

type script struct {
	h      *harness
	jobs   []JobID
	live   []uint64         // sessions
	held   []Grant          // leases that workers hold
	old    []Grant          // leases that are over
	fences map[string]Fence // by task: the newest
	ended  map[JobID]JobState
	over   []Grant  // leases that were withdrawn: of them the slot is still taken
	purged []string // names of jobs that may come again
	names  map[JobID]string
	n      int

	retains   bool // the queue has had bounds for ended jobs
	schedules []string
}

func newScript(t *testing.T, rt *rapid.T) *script {
	h := &harness{t: t, fs: vfs.NewMem(), now: 1_000_000, hash: make(map[uint64]string)}
	h.m = h.open(h.fs, "state")
	return &script{h: h, fences: make(map[string]Fence), ended: make(map[JobID]JobState), names: make(map[JobID]string)}
}

// graphs are the shapes that the random jobs have.
func graphs(t testing.TB) []*dag.Graph {
	quick := dag.Retry{MaxAttempts: 2, FirstMS: 100, CrashLimit: 2}
	diamond := build(t, "diamond", func(b *dag.Builder) {
		a := b.Task("a", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Retry: quick}})
		l := b.Task("l", dag.Step{Task: "u", Input: a, Options: dag.Options{Priority: 2}})
		r := b.Task("r", dag.Step{Task: "t", Input: a, Options: dag.Options{Retry: quick}})
		b.Output(b.Task("j", dag.Step{Task: "t", Input: dag.Object(dag.Field{Name: "l", Of: l}, dag.Field{Name: "r", Of: r})}))
	})
	two := build(t, "two", func(b *dag.Builder) {
		m := b.Map("m", dag.Step{Task: "t", Input: dag.Chunk(dag.Input(), 2), Options: dag.Options{Retry: quick, Tolerate: 2, MaxParallel: 3}})
		m2 := b.Map("m2", dag.Step{Task: "u", Input: dag.Flatten(m), Options: dag.Options{Settled: true, Retry: quick}})
		f := b.Fold("f", dag.Step{Task: "t", Input: m2, Options: dag.Options{FanIn: 2}})
		b.Output(b.Task("end", dag.Step{Task: "u", Input: f}))
	})
	limited := build(t, "limited", func(b *dag.Builder) {
		late := dag.Retry{MaxAttempts: 3, FirstMS: 100, DeadlineMS: 500, DiscardOn: []string{"Unwanted"}, PermanentOn: []string{"Hopeless"}}
		a := b.Task("a", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{TimeoutMS: 100, HeartbeatMS: 50, QueueWaitMS: 300, Retry: late}})
		m := b.Map("m", dag.Step{Task: "u", Input: dag.Const([]byte("[1,2,3]")), After: []string{"a"}, Options: dag.Options{HardTimeoutMS: 200, HeartbeatMS: 50, Retry: late, Tolerate: 1}})
		b.Output(dag.Object(dag.Field{Name: "a", Of: a}, dag.Field{Name: "m", Of: m}))
	})
	return []*dag.Graph{
		limited, chain(t, 1), chain(t, 3), diamond, two,
		mapFold(t, 2, dag.Options{MaxParallel: 4, Retry: quick, Tolerate: 1}),
		build(t, "wide", func(b *dag.Builder) {
			var fs []dag.Field
			for i := range 40 {
				fs = append(fs, dag.Field{Name: fmt.Sprint("x", i), Of: b.Task(fmt.Sprint("x", i), dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Retry: quick}})})
			}
			b.Output(dag.Object(fs...))
		}),
	}
}

func (s *script) apply(cmds ...*fsmpb.Command) *Result {
	r := s.h.apply(cmds...)
	for i, g := range r.Grants {
		if g.Fence != (Fence{Index: r.Index, Pos: uint32(i)}) {
			s.h.t.Fatalf("grant %d of entry %d has fence %s", i, r.Index, g.Fence)
		}
		if old := s.fences[g.Task.String()]; g.Fence.Compare(old) <= 0 {
			s.h.t.Fatalf("task %s: fence %s after %s (law 2)", g.Task, g.Fence, old)
		}
		s.fences[g.Task.String()] = g.Fence
		s.h.input(g)
		s.held = append(s.held, g)
	}
	for _, f := range r.Finished {
		s.ended[f.Job] = f.State
	}
	s.timedOut(r)
	s.follow(r)
	for _, id := range r.ClosedSessions {
		s.live = slices.DeleteFunc(s.live, func(x uint64) bool { return x == id })
		s.held = slices.DeleteFunc(s.held, func(g Grant) bool {
			if g.Session == id {
				s.old = append(s.old, g)
			}
			return g.Session == id
		})
	}
	if s.retains {
		s.dropRetired()
	}
	return r
}

func (s *script) submit(t *rapid.T) {
	s.n++
	name := fmt.Sprint("job", s.n)
	if len(s.purged) > 0 && rapid.Bool().Draw(t, "again") {
		name, s.purged = s.purged[0], s.purged[1:]
	}
	s.names[jobID(name)] = name
	g := rapid.SampledFrom(graphs(s.h.t)).Draw(t, "graph")
	in := rapid.SampledFrom([]string{`[]`, `[1]`, `[1,2,3,4,5]`, `[[1],[2,3],[],[4]]`, `{"no":"list"}`}).Draw(t, "input")
	c := submit(name, g, in)
	if rapid.IntRange(0, 5).Draw(t, "later") == 0 {
		c.GetSubmitJob().NotBeforeMs = s.h.now + 700
	}
	s.limit(t, c.GetSubmitJob())
	s.partition(t, c)
	if r := s.apply(c); r.Answers[0].Refusal != nil {
		t.Fatal(r.Answers[0].Refusal)
	}
	s.jobs = append(s.jobs, jobID(name))
}

func (s *script) open(t *rapid.T) {
	if len(s.live) > 3 {
		t.Skip()
	}
	s.n++
	kinds := rapid.SampledFrom([][]string{{"t", "u", "sum"}, {"t"}, {"u", "sum"}}).Draw(t, "kinds")
	c := openWorker(fmt.Sprint("w", s.n), uint32(rapid.IntRange(1, 5).Draw(t, "slots")), kinds...)
	if rapid.IntRange(0, 3).Draw(t, "shared") == 0 {
		c.GetOpenSession().Slots, c.GetOpenSession().Strict = 2, rapid.Bool().Draw(t, "strict")
	}
	r := s.apply(c)
	s.live = append(s.live, r.Answers[0].Session)
}

func (s *script) close(t *rapid.T) {
	if len(s.live) == 0 {
		t.Skip()
	}
	s.apply(closeWorker(rapid.SampledFrom(s.live).Draw(t, "session"), rapid.Bool().Draw(t, "lost")))
}

func (s *script) drain(t *rapid.T) {
	if len(s.live) == 0 {
		t.Skip()
	}
	id := rapid.SampledFrom(s.live).Draw(t, "session")
	s.apply(&fsmpb.Command{Kind: &fsmpb.Command_DrainSession{DrainSession: &fsmpb.DrainSession{Session: id}}})
}

func (s *script) prefetch(t *rapid.T) {
	if len(s.live) == 0 {
		t.Skip()
	}
	s.apply(prefetch(rapid.SampledFrom(s.live).Draw(t, "session"), rapid.SampledFrom([]string{"default", "q", "slow"}).Draw(t, "queue"), rapid.IntRange(0, 4).Draw(t, "tasks")))
}

// report ends some leases, in one entry.
func (s *script) report(t *rapid.T) {
	if len(s.held) == 0 {
		t.Skip()
	}
	n := rapid.IntRange(1, min(6, len(s.held))).Draw(t, "n")
	var cmds []*fsmpb.Command
	for range n {
		i := rapid.IntRange(0, len(s.held)-1).Draw(t, "lease")
		g := s.held[i]
		s.held = slices.Delete(s.held, i, i+1)
		s.old = append(s.old, g)
		switch rapid.IntRange(0, 11).Draw(t, "how") {
		case 10:
			cmds = append(cmds, failureOf(g, "Unwanted"))
		case 11:
			cmds = append(cmds, failureOf(g, "Hopeless"))
		case 0:
			cmds = append(cmds, failure(g, "err", false))
		case 1:
			cmds = append(cmds, failure(g, "err", rapid.Bool().Draw(t, "permanent")))
		case 2:
			cmds = append(cmds, release(g))
		case 3:
			cmds = append(cmds, rateLimited(g, 100))
		default:
			cmds = append(cmds, complete(g, `[1,2]`))
		}
	}
	r := s.apply(cmds...)
	for i, a := range r.Answers {
		if a.Refusal != nil && a.Refusal.Code != CodeCanceled {
			t.Fatalf("%v: %v", cmds[i], a.Refusal)
		}
	}
}

// zombie reports under a lease that is over.
func (s *script) zombie(t *rapid.T) {
	if len(s.old) == 0 {
		t.Skip()
	}
	before := s.h.m.state.Completions
	s.apply(complete(rapid.SampledFrom(s.old).Draw(t, "lease"), `"zombie"`))
	if s.h.m.state.Completions != before {
		t.Fatal("a result was accepted under a lease that is over")
	}
}

func (s *script) time(t *rapid.T) {
	s.h.now += rapid.SampledFrom([]int64{1, 99, 100, 250, 1000, 60_000}).Draw(t, "ms")
	s.apply()
}

func (s *script) cancel(t *rapid.T) {
	if len(s.jobs) == 0 {
		t.Skip()
	}
	s.apply(cancel(rapid.SampledFrom(s.jobs).Draw(t, "job")))
}

func (s *script) retry(t *rapid.T) {
	if len(s.jobs) == 0 {
		t.Skip()
	}
	id := rapid.SampledFrom(s.jobs).Draw(t, "job")
	if r := s.apply(retry(id)); r.Answers[0].Refusal == nil && len(r.Finished) == 0 {
		delete(s.ended, id)
	}
}

func (s *script) purge(t *rapid.T) {
	if len(s.jobs) == 0 || rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip()
	}
	id := rapid.SampledFrom(s.jobs).Draw(t, "job")
	if r := s.apply(purge(id)); r.Answers[0].Refusal == nil && slices.Contains(s.jobs, id) {
		delete(s.ended, id)
		s.purged = append(s.purged, s.names[id])
		s.jobs = slices.DeleteFunc(s.jobs, func(x JobID) bool { return x == id })
	}
}

// snapshot replaces the machine by one restored from its snapshot.
func (s *script) snapshot(t *rapid.T) {
	var b bytes.Buffer
	want, _ := s.h.m.Hash()
	w, err := s.h.m.WriteSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	s.h.m.Close()
	s.h.fs = vfs.NewMem()
	w2, err := RestoreSnapshot(s.h.fs, "state", &b, Options{})
	if err != nil || w2.Index != w.Index {
		t.Fatalf("restored %+v of %+v: %v", w2, w, err)
	}
	s.h.m = s.h.open(s.h.fs, "state")
	if got, _ := s.h.m.Hash(); got != want {
		t.Fatalf("restored hash %s, want %s", got, want)
	}
}

// check holds what users see against the laws.
func (s *script) check(t *rapid.T) {
	v := s.h.m.View()
	defer v.Close()
	for _, id := range s.jobs {
		_, st, err := v.JobHead(id)
		if err != nil {
			t.Fatalf("job %s is lost: %v (law 1)", id, err)
		}
		if want, ok := s.ended[id]; ok && st != want {
			t.Fatalf("job %s went from %s to %s (law 3)", id, want, st)
		}
	}
}

// settle gives every job workers and time: each has to end (laws 1 and 7).
func (s *script) settle(t *rapid.T) {
	for _, name := range s.schedules {
		s.apply(unschedule(name))
	}
	s.unlimit()
	s.apply(openWorker("last", 50, "t", "u", "sum"))
	for n := 0; ; n++ {
		running := 0
		for _, id := range s.jobs {
			if _, ok := s.ended[id]; !ok {
				running++
			}
		}
		if running == 0 {
			return
		}
		if n > 3000 {
			t.Fatalf("%d jobs do not end\n%s", running, s.h.m.Dump())
		}
		var cmds []*fsmpb.Command
		for _, g := range s.held {
			cmds = append(cmds, complete(g, `[7]`))
		}
		s.held = nil
		s.h.now += 50
		s.apply(cmds...)
	}
}
