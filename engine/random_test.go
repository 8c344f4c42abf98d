package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// TestRandom_EveryJobEndsOnceWhateverHappensToStreamsAndTerms lets workers come, go, fall silent,
// forget and repeat, and terms end at any moment, and then expects every job in SUCCESS with exactly
// one accepted result for each of its tasks.
func TestRandom_EveryJobEndsOnceWhateverHappensToStreamsAndTerms(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newChaos(t, seed).run(150) })
		})
	}
}

// chaos is a random run and what it knows to be true.
type chaos struct {
	*world
	r        *rand.Rand
	workers  []*chaosWorker
	jobs     []fsm.JobID
	tasks    int
	accepted map[fsm.TaskRef]int // results accepted as new
}

// chaosWorker is a worker's own memory.
type chaosWorker struct {
	session uint64
	s       *Stream // nil: not connected
	held    map[fsm.Fence]fsm.Grant
	sent    map[fsm.Fence]fsm.Grant // completed, not acknowledged
	newest  map[fsm.TaskRef]fsm.Fence
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{world: newWorld(t, Config{EntryCommands: 5}), r: rand.New(rand.NewPCG(seed, 1)),
		accepted: map[fsm.TaskRef]int{}}
	for range 3 {
		c.workers = append(c.workers, &chaosWorker{held: map[fsm.Fence]fsm.Grant{}, sent: map[fsm.Fence]fsm.Grant{},
			newest: map[fsm.TaskRef]fsm.Fence{}})
	}
	return c
}

func (c *chaos) run(steps int) {
	for range steps {
		w := c.workers[c.r.IntN(len(c.workers))]
		switch n := c.r.IntN(20); {
		case n < 3:
			c.submitSome()
		case n < 12:
			c.work(w, false)
		case n < 14:
			c.connectOne(w)
		case n == 14 && w.s != nil:
			w.s.Detach()
			w.s = nil
		case n == 15 && w.s != nil:
			if err := w.s.Goodbye(c.ctx()); err != nil {
				c.t.Fatal(err)
			}
		case n == 16 && w.s != nil: // the connection broke, and with it a part of what was on its way
			w.s.Detach()
			w.s = nil
			for f := range w.held {
				if c.r.IntN(2) == 0 {
					delete(w.held, f)
				}
			}
		case n == 17:
			time.Sleep(time.Duration(c.r.Int64N(int64(2 * ttl))))
		case n == 18:
			c.newTerm()
		default:
			time.Sleep(time.Duration(c.r.Int64N(int64(time.Second))))
		}
		synctest.Wait()
	}
	c.finish()
}

func (c *chaos) newTerm() {
	if err := c.endTerm(); err != nil {
		c.t.Fatal(err)
	}
	c.begin()
	for _, w := range c.workers {
		w.s = nil
	}
}

func (c *chaos) submitSome() {
	for range 1 + c.r.IntN(4) {
		length := 1 + c.r.IntN(3)
		c.tasks += length
		c.jobs = append(c.jobs, c.submit(job(sturdy(c.t, length), `1`))[0].Job)
	}
}

// sturdy is a chain whose tasks may be lost and fail as often as it pleases chance.
func sturdy(t testing.TB, n int) []byte {
	b := dag.NewBuilder("sturdy")
	at := dag.Input()
	for i := range n {
		at = b.Task(fmt.Sprintf("s%d", i), dag.Step{Task: "a", Input: at,
			Options: dag.Options{Retry: dag.Retry{MaxAttempts: 10_000, CrashLimit: 10_000, FirstMS: 100}}})
	}
	b.Output(at)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return dag.Encode(g)
}

func (c *chaos) connectOne(w *chaosWorker) {
	hello := Hello{Session: w.session, Open: openCommand(3, "a")}
	for f := range w.held {
		hello.Held = append(hello.Held, f)
	}
	for f := range w.sent {
		hello.Held = append(hello.Held, f)
	}
	s, welcome, err := c.eng.OpenStream(c.ctx(), hello)
	if err != nil {
		c.t.Fatal(err)
	}
	if welcome.Resumed != (welcome.Session == w.session) {
		c.t.Fatalf("%+v for session %d", welcome, w.session)
	}
	w.s, w.session = s, welcome.Session
	for _, f := range welcome.Drop {
		delete(w.held, f)
	}
	for f, g := range w.sent { // the acknowledgement may have been lost: say it again
		if welcome.Resumed {
			w.held[f] = g
		}
	}
	clear(w.sent)
}

// work takes what there is and reports on a part of what the worker holds; on all of it if it must end.
func (c *chaos) work(w *chaosWorker, all bool) {
	if w.s == nil {
		return
	}
	w.s.Heard()
	var o Outgoing
	if err := w.s.Take(&o); err != nil {
		if !errors.Is(err, ErrSessionClosed) {
			c.t.Fatalf("take: %v", err)
		}
		w.s = nil
		clear(w.held)
		clear(w.sent)
		return
	}
	c.took(w, &o)
	var cmds []*fsmpb.Command
	var fences []fsm.Fence
	for f, g := range w.held {
		var cmd *fsmpb.Command
		switch n := c.r.IntN(10); {
		case n < 5 || all:
			cmd, _ = complete(g, `1`)
			w.sent[f] = g
		case n == 5:
			cmd = releaseCommand(g.Session, f, g.Task)
		case n == 6:
			cmd = &fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: &fsmpb.FailTask{
				Session: g.Session, Fence: f.Proto(), Task: g.Task.Proto(), Error: &fsmpb.Error{Message: "chance"}}}}
		default:
			continue
		}
		cmds, fences = append(cmds, cmd), append(fences, f)
		delete(w.held, f)
	}
	if err := w.s.Report(c.ctx(), cmds, fences); err != nil && !errors.Is(err, ErrSessionClosed) {
		c.t.Fatalf("report: %v", err)
	}
}

func (c *chaos) took(w *chaosWorker, o *Outgoing) {
	for _, g := range o.Grants {
		if g.Session != w.session {
			c.t.Fatalf("session %d got %+v", w.session, g)
		}
		if old := w.newest[g.Task]; g.Fence.Compare(old) < 0 {
			c.t.Fatalf("task %v granted under %v after %v", g.Task, g.Fence, old)
		}
		w.newest[g.Task] = g.Fence
		w.held[g.Fence] = g
	}
	for _, acks := range o.Acks {
		for i, f := range acks.Fences {
			a := acks.Answers[i]
			if g, completed := w.sent[f]; completed && a.Refusal == nil && !a.Duplicate {
				c.accepted[g.Task]++
			}
			delete(w.sent, f)
		}
	}
}

// finish lets the workers work until nothing is left.
func (c *chaos) finish() {
	for range 1000 {
		for _, w := range c.workers {
			if w.s == nil {
				c.connectOne(w)
				synctest.Wait()
			}
			c.work(w, true)
			synctest.Wait()
		}
		if c.counters().JobsSucceeded == uint64(len(c.jobs)) {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	for _, id := range c.jobs {
		if j := c.job(id); j.State != fsm.JobSuccess {
			c.t.Fatalf("job %v is %v: %+v", id, j.State, j.Steps)
		}
	}
	n := c.counters()
	if n.Completions != uint64(c.tasks) || n.Dead != 0 {
		c.t.Fatalf("%d results of %d tasks were accepted: %+v", n.Completions, c.tasks, n)
	}
	for task, times := range c.accepted {
		if times > 1 {
			c.t.Fatalf("task %v was acknowledged as new %d times", task, times)
		}
	}
}
