package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// world is a real machine on a memory filesystem, a local log and one term after another.
type world struct {
	t   testing.TB
	m   *fsm.Machine
	log *gate
	cfg Config

	eng     *Engine
	endTerm func() error
	wg      sync.WaitGroup
	before  uint64 // entries when quiet was called
}

// gate is a LocalLog that a test may hold up: the edge, not the middle, is what is faked.
type gate struct {
	*LocalLog
	mu        sync.Mutex
	held      bool
	waiting   []func()
	lose      bool     // answer ErrOutcomeUnknown after the entry was applied
	refuse    bool     // answer ErrNotLeader
	kept      [][]byte // of waiting
	onPropose func(data []byte)
	keeping   int // so many outcomes are still to be kept
	outcomes  []func()
	verifies  chan chan error // nil: at once
}

// keep keeps the outcomes of the next n entries until give.
func (g *gate) keep(n int) { g.mu.Lock(); g.keeping = n; g.mu.Unlock() }

// give passes a kept outcome on.
func (g *gate) give(i int) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.outcomes[i]()
	g.outcomes[i] = func() {}
}

func (g *gate) Propose(data []byte, done func(*fsm.Result, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	then := done
	switch {
	case g.refuse:
		done(nil, ErrNotLeader)
		return
	case g.lose:
		done = func(*fsm.Result, error) { then(nil, ErrOutcomeUnknown) }
	case g.keeping > 0:
		g.keeping--
		done = func(res *fsm.Result, err error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.outcomes = append(g.outcomes, func() { then(res, err) })
		}
	}
	if g.onPropose != nil {
		g.onPropose(data)
	}
	send := func() { g.LocalLog.Propose(data, done) }
	if g.held {
		g.waiting = append(g.waiting, send)
		g.kept = append(g.kept, data)
		return
	}
	send()
}

func (g *gate) VerifyLeader(ctx context.Context) error {
	if g.verifies == nil {
		return g.LocalLog.VerifyLeader(ctx)
	}
	answer := make(chan error)
	select {
	case g.verifies <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold keeps entries back until release.
func (g *gate) hold() { g.mu.Lock(); g.held = true; g.mu.Unlock() }

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = false
	for _, send := range g.waiting {
		send()
	}
	g.waiting, g.kept = nil, nil
}

// newWorld opens a machine and begins the first term. Inside synctest.Test all of it, Pebble
// included, runs on virtual time.
func newWorld(t testing.TB, cfg Config) *world {
	t.Helper()
	_, bench := t.(*testing.B)
	m, err := fsm.Open(vfs.NewMem(), "state", fsm.Options{Logger: slog.New(slog.DiscardHandler), DisableWAL: true, CheckInvariants: !bench})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, m: m, log: &gate{LocalLog: NewLocalLog(m)}, cfg: cfg}
	ctx, cancel := context.WithCancel(context.Background())
	w.wg.Go(func() {
		if err := w.log.Run(ctx); err != nil {
			t.Errorf("local log: %v", err)
		}
	})
	w.begin()
	t.Cleanup(func() {
		w.log.release()
		w.endTerm()
		cancel()
		w.wg.Wait()
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		emptyPools()
	})
	return w
}

// emptyPools lets go of what this bubble has left in the process's sync.Pools: Pebble's writers keep
// objects with channels there, and a channel of one bubble must not be used in another. An object
// survives one collection in a pool, and no second one.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// begin starts a term.
func (w *world) begin() {
	w.t.Helper()
	cfg := w.cfg
	cfg.Log, cfg.Machine = w.log, w.m
	eng, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.eng = eng
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	w.endTerm = sync.OnceValue(func() error { cancel(); return <-ended })
}

// quiet waits until the term has nothing more to do by itself, and counts entries from here.
func (w *world) quiet() {
	synctest.Wait()
	w.before = w.eng.Stats().Entries
}

func (w *world) ctx() context.Context { return w.t.Context() }

func newJobID() fsm.JobID { return fsm.JobID(ulid.Make()) }

// single is a graph of one task.
func single(t testing.TB, task string) []byte { return chain(t, task, 1) }

// chain is a graph of n tasks, one after another.
func chain(t testing.TB, task string, n int) []byte {
	t.Helper()
	b := dag.NewBuilder("chain")
	at := dag.Input()
	for i := range n {
		at = b.Task(fmt.Sprintf("s%d", i), dag.Step{Task: task, Input: at, Options: dag.Options{Retry: dag.Retry{FirstMS: 1000, JitterPercent: -1}}})
	}
	b.Output(at)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return dag.Encode(g)
}

func inline(doc string) *fsmpb.Value { return &fsmpb.Value{Inline: []byte(doc)} }

func job(graph []byte, input string) *fsmpb.SubmitJob {
	id := newJobID()
	return &fsmpb.SubmitJob{Job: id[:], Namespace: "default", Graph: graph, Input: inline(input)}
}

func (w *world) submit(jobs ...*fsmpb.SubmitJob) []fsm.Answer {
	w.t.Helper()
	answers, _, err := w.eng.Submit(w.ctx(), jobs)
	if err != nil {
		w.t.Fatalf("submit: %v", err)
	}
	for i, a := range answers {
		if a.Refusal != nil {
			w.t.Fatalf("submit job %d: %v", i, a.Refusal)
		}
	}
	return answers
}

func openCommand(slots uint32, tasks ...string) *fsmpb.OpenSession {
	nonce := newJobID()
	open := &fsmpb.OpenSession{Namespace: "default", Worker: "w", TtlMs: 10_000, Nonce: nonce[:],
		Queues: []*fsmpb.QueueSlots{{Queue: "default", Slots: slots}}}
	for _, t := range tasks {
		open.Kinds = append(open.Kinds, &fsmpb.TaskKind{Name: t})
	}
	return open
}

// connect opens a session.
func (w *world) connect(slots uint32, tasks ...string) *Stream {
	w.t.Helper()
	s, _, err := w.eng.OpenStream(w.ctx(), Hello{Open: openCommand(slots, tasks...)})
	if err != nil {
		w.t.Fatalf("open stream: %v", err)
	}
	return s
}

// next waits for something to come out of a stream.
func next(t testing.TB, s *Stream) Outgoing {
	t.Helper()
	for {
		var o Outgoing
		if err := s.Take(&o); err != nil {
			t.Fatalf("take: %v", err)
		}
		if !o.empty() {
			return o
		}
		<-s.Ready()
	}
}

// grants waits until n grants have come.
func grants(t testing.TB, s *Stream, n int) (all []fsm.Grant) {
	t.Helper()
	for len(all) < n {
		all = append(all, next(t, s).Grants...)
	}
	return all
}

func complete(g fsm.Grant, result string) (*fsmpb.Command, fsm.Fence) {
	return &fsmpb.Command{Kind: &fsmpb.Command_CompleteTask{CompleteTask: &fsmpb.CompleteTask{
		Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto(), Result: inline(result)}}}, g.Fence
}

// report completes attempts with one message.
func report(t testing.TB, s *Stream, result string, all ...fsm.Grant) {
	t.Helper()
	var cmds []*fsmpb.Command
	var fences []fsm.Fence
	for _, g := range all {
		c, f := complete(g, result)
		cmds, fences = append(cmds, c), append(fences, f)
	}
	if err := s.Report(t.Context(), cmds, fences); err != nil {
		t.Fatalf("report: %v", err)
	}
}

func (w *world) job(id fsm.JobID) *fsm.JobView {
	w.t.Helper()
	v := w.m.View()
	defer v.Close()
	j, err := v.Job(id)
	if err != nil {
		w.t.Fatalf("job: %v", err)
	}
	return j
}

func wantError(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}
