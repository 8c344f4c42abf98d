package fsm

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func inBatch(batch string, c *fsmpb.Command) *fsmpb.Command {
	id := jobID(batch)
	return with(c, &fsmpb.JobOptions{Batch: id[:]})
}

// newBatch has all three callbacks, each a task of its own name.
func newBatch(t testing.TB, name string) *fsmpb.CreateBatch {
	id := jobID(name)
	cb := func(task string) *fsmpb.BatchCallback {
		g := build(t, task, func(b *dag.Builder) { b.Output(b.Task("s", dag.Step{Task: task, Input: dag.Input()})) })
		return &fsmpb.BatchCallback{Graph: dag.Encode(g), Data: []byte(`{"my":"data"}`)}
	}
	return &fsmpb.CreateBatch{Batch: id[:], Namespace: "default", Name: name, OnSuccess: cb("success"), OnComplete: cb("complete"), OnDeath: cb("death")}
}

func createBatchCmd(c *fsmpb.CreateBatch) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_CreateBatch{CreateBatch: c}}
}

func closeBatchCmd(name string) *fsmpb.Command {
	id := jobID(name)
	return &fsmpb.Command{Kind: &fsmpb.Command_CloseBatch{CloseBatch: &fsmpb.CloseBatch{Batch: id[:]}}}
}

func reopenBatchCmd(name string) *fsmpb.Command {
	id := jobID(name)
	return &fsmpb.Command{Kind: &fsmpb.Command_ReopenBatch{ReopenBatch: &fsmpb.ReopenBatch{Batch: id[:]}}}
}

func cancelBatchCmd(name string) *fsmpb.Command {
	id := jobID(name)
	return &fsmpb.Command{Kind: &fsmpb.Command_CancelBatch{CancelBatch: &fsmpb.CancelBatch{Batch: id[:], Reason: "test"}}}
}

func purgeBatchCmd(name string) *fsmpb.Command {
	id := jobID(name)
	return &fsmpb.Command{Kind: &fsmpb.Command_PurgeBatch{PurgeBatch: &fsmpb.PurgeBatch{Batch: id[:]}}}
}

func (h *harness) batch(name string) *BatchView {
	h.t.Helper()
	v := h.m.View()
	defer v.Close()
	b, err := v.Batch(jobID(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// calls lists the callbacks that the last entry started, as event:succeeded/failed/canceled of total.
func (h *harness) calls() (all []string) {
	for _, g := range h.last.Grants {
		if g.Kind == "t" {
			continue
		}
		var in struct {
			Event, Batch                       string
			Total, Succeeded, Failed, Canceled int
			Data                               map[string]string
		}
		if err := json.Unmarshal([]byte(h.input(g)), &in); err != nil || in.Event != g.Kind || in.Data["my"] != "data" {
			h.t.Fatalf("callback %s with %s (%v)", g.Kind, h.input(g), err)
		}
		all = append(all, fmt.Sprintf("%s:%d/%d/%d of %d", in.Event, in.Succeeded, in.Failed, in.Canceled, in.Total))
	}
	return all
}

func (h *harness) called(want ...string) {
	h.t.Helper()
	if got := h.calls(); fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Fatalf("callbacks %q, want %q", got, want)
	}
}

func batchHarness(t testing.TB) *harness {
	h := newHarness(t)
	h.apply(openWorker("w", 20, "t", "success", "complete", "death"))
	return h
}

// TestBatch_CallbacksComeOnceInTheEntryThatDecidesThem (pain 6: callbacks twice or never).
func TestBatch_CallbacksComeOnceInTheEntryThatDecidesThem(t *testing.T) {
	h := batchHarness(t)
	h.created(createBatchCmd(newBatch(t, "B")))
	h.existing(createBatchCmd(newBatch(t, "B")), "B")
	a := h.created(inBatch("B", submit("a", chain(t, 1), `1`))).Grants[0]
	b := h.created(inBatch("B", submit("b", chain(t, 1), `2`))).Grants[0]
	h.existing(inBatch("B", submit("b", chain(t, 1), `2`)), "b") // counted once
	h.apply(complete(a, `1`))
	h.apply(closeBatchCmd("B"))
	h.called()
	h.apply(complete(b, `1`), complete(b, `1`))
	h.called("complete:2/0/0 of 2", "success:2/0/0 of 2")
	h.apply(complete(b, `1`), closeBatchCmd("B"))
	h.called()
	if v := h.batch("B"); v.State != BatchSuccess || v.Total != 2 || v.SuccessJob.IsZero() || v.CompleteJob.IsZero() || !v.DeathJob.IsZero() {
		t.Fatalf("%+v", v)
	}
	h.refused(inBatch("B", submit("c", chain(t, 1), `2`)), CodeConflict)
	h.refused(reopenBatchCmd("B"), CodeConflict)
	h.replay(1)
}

func TestBatch_AnEmptyOneSucceedsWhenItIsClosed(t *testing.T) {
	h := batchHarness(t)
	h.apply(createBatchCmd(newBatch(t, "B")))
	h.apply(closeBatchCmd("B"))
	h.called("complete:0/0/0 of 0", "success:0/0/0 of 0")
}

// TestBatch_DeathThenRetryThenSuccess: the first failure is told at once, completion once, and success when
// the failed jobs have been run again with success.
func TestBatch_DeathThenRetryThenSuccess(t *testing.T) {
	h := batchHarness(t)
	h.apply(createBatchCmd(newBatch(t, "B")))
	var g []Grant
	for _, name := range []string{"a", "b", "c"} {
		g = append(g, h.created(inBatch("B", submit(name, chain(t, 1), `1`))).Grants[0])
	}
	h.apply(failure(g[0], "x", true))
	h.called("death:0/1/0 of 3")
	h.apply(failure(g[1], "x", true), closeBatchCmd("B"))
	h.called()
	h.apply(complete(g[2], `1`))
	h.called("complete:1/2/0 of 3")
	if h.batch("B").State != BatchComplete {
		t.Fatal(h.batch("B").State)
	}
	h.reopen()
	ra := h.apply(retry(jobID("a"))).Grants[0]
	if v := h.batch("B"); v.State != BatchClosed || v.Live != 1 {
		t.Fatalf("%+v", v)
	}
	h.apply(complete(ra, `1`))
	h.called()
	rb := h.apply(retry(jobID("b"))).Grants[0]
	h.apply(complete(rb, `1`))
	h.called("success:3/0/0 of 3")
	h.replay(3)
}

func TestBatch_ACanceledJobIsCompleteAndNoSuccess(t *testing.T) {
	h := batchHarness(t)
	h.apply(createBatchCmd(newBatch(t, "B")))
	h.apply(inBatch("B", submit("a", chain(t, 1), `1`)), closeBatchCmd("B"))
	h.apply(cancel(jobID("a")))
	h.called("complete:0/0/1 of 1")
}

func TestBatch_ItsOwnJobsMayAddSomeAndOthersReopenIt(t *testing.T) {
	h := batchHarness(t)
	h.apply(createBatchCmd(newBatch(t, "B")))
	a := h.apply(inBatch("B", submit("a", chain(t, 1), `1`)), closeBatchCmd("B")).Grants[0]
	b := h.created(inBatch("B", submit("b", chain(t, 1), `1`))).Grants[0]
	h.apply(complete(a, `1`))
	h.called()
	h.apply(reopenBatchCmd("B"), complete(b, `1`))
	h.called()
	h.apply(inBatch("B", submit("c", chain(t, 1), `1`)))
	h.apply(closeBatchCmd("B"))
	h.apply(cancel(jobID("c")))
	h.called("complete:2/0/1 of 3")
}

// TestBatch_CancelEndsManyJobsPieceByPiece: and the members that ended before stay what they were.
func TestBatch_CancelEndsManyJobsPieceByPiece(t *testing.T) {
	h := batchHarness(t)
	h.apply(createBatchCmd(newBatch(t, "B")))
	var cmds []*fsmpb.Command
	for i := range 3*sweepMax + 7 {
		cmds = append(cmds, inBatch("B", submit(fmt.Sprint("j", i), chain(t, 1), `1`)))
	}
	g := h.apply(cmds...).Grants
	h.apply(complete(g[0], `1`))
	r := h.apply(cancelBatchCmd("B"))
	if v := h.batch("B"); v.Canceled > sweepMax || v.State.Ended() || r.NextDueMS > h.now {
		t.Fatalf("%+v, due %d", v, r.NextDueMS)
	}
	h.refused(inBatch("B", submit("late", chain(t, 1), `1`)), CodeConflict)
	h.refused(reopenBatchCmd("B"), CodeConflict)
	for n := 0; !h.batch("B").State.Ended(); n++ {
		if n > 10 {
			t.Fatal("it does not end")
		}
		h.apply()
	}
	v := h.batch("B")
	if v.State != BatchCanceled || v.Succeeded != 1 || v.Canceled != uint64(len(cmds)-1) || v.CompleteJob.IsZero() || !v.SuccessJob.IsZero() {
		t.Fatalf("%+v", v)
	}
	h.replay(2)
}

func TestBatch_ExpiryCancelsWhatHasNotEnded(t *testing.T) {
	h := batchHarness(t)
	c := newBatch(t, "B")
	c.ExpiresMs = h.now + 1000
	h.apply(createBatchCmd(c), inBatch("B", submit("a", chain(t, 1), `1`)))
	h.now += 999
	if h.apply(); h.state("a") != JobRunning {
		t.Fatal("too early")
	}
	h.now++
	h.apply()
	h.called("complete:0/0/1 of 1")
	if h.batch("B").State != BatchExpired || h.state("a") != JobCanceled {
		t.Fatalf("%s, a is %s", h.batch("B").State, h.state("a"))
	}
	// A job that runs again changes the counts and nothing else.
	h.apply(retry(jobID("a")))
	if v := h.batch("B"); v.State != BatchExpired || v.Live != 1 {
		t.Fatalf("%+v", v)
	}
	// After its retention the batch is gone, and its jobs go on.
	h.now += batchRetainMS
	h.apply()
	h.refused(closeBatchCmd("B"), CodeNotFound)
	h.apply(cancel(jobID("a")))
}

func TestBatch_AReplacedJobDoesNotEndTheBatchOfItsSuccessor(t *testing.T) {
	h := batchHarness(t)
	h.apply(createBatchCmd(newBatch(t, "B")))
	id := jobID("B")
	o := &fsmpb.JobOptions{Batch: id[:], Unique: &fsmpb.Unique{Key: "k", OnConflict: fsmpb.Unique_REPLACE}}
	h.apply(with(submit("a", chain(t, 1), `1`), o), closeBatchCmd("B"))
	r := h.created(with(submit("b", chain(t, 1), `1`), o))
	for _, g := range r.Grants {
		if g.Kind != "t" {
			t.Fatal("the batch was decided while b joined it")
		}
	}
	h.apply(complete(r.Grants[0], `1`))
	h.called("complete:1/0/1 of 2")
}

// TestBatch_ARefusedCallbackIsMadeLater: its task is in use with other types.
func TestBatch_ARefusedCallbackIsMadeLater(t *testing.T) {
	typed := func(name, types string) *dag.Graph {
		return build(t, name, func(b *dag.Builder) { b.Output(b.Task("s", dag.Step{Task: "typed", Types: types, Input: dag.Input()})) })
	}
	h := newHarness(t)
	c := &fsmpb.CreateBatch{Batch: newBatch(t, "B").Batch, Namespace: "default",
		OnSuccess: &fsmpb.BatchCallback{Graph: dag.Encode(typed("cb", "one")), Data: []byte("null")}}
	h.created(createBatchCmd(c))
	h.created(submit("other", typed("other", "two"), `1`))
	h.apply(closeBatchCmd("B"))
	if v := h.batch("B"); v.State != BatchSuccess || v.CallbackError == "" || !v.SuccessJob.IsZero() {
		t.Fatalf("%+v", v)
	}
	h.apply(cancel(jobID("other")))
	h.now += callbackRetryMS
	h.apply()
	if v := h.batch("B"); v.CallbackError != "" || v.SuccessJob.IsZero() || h.m.state.BatchCallbacks != 1 {
		t.Fatalf("%+v", v)
	}
}

func TestPurgeBatch_ManyMembersGoPieceByPiece(t *testing.T) {
	h := newHarness(t)
	h.apply(createBatchCmd(&fsmpb.CreateBatch{Batch: newBatch(t, "B").Batch, Namespace: "default"}))
	h.refused(purgeBatchCmd("B"), CodeNotEnded)
	var cmds []*fsmpb.Command
	for i := range forgetMax + 5 {
		c := submit(fmt.Sprint("j", i), chain(t, 1), `1`)
		cmds = append(cmds, inBatch("B", c), cancel(jobID(fmt.Sprint("j", i))))
	}
	h.m.opts.CheckInvariants = false
	h.apply(cmds...)
	h.m.opts.CheckInvariants = true
	h.apply(closeBatchCmd("B"))
	h.apply(purgeBatchCmd("B"))
	h.refused(purgeBatchCmd("B"), CodeNotFound)
	h.apply()
	left := 0
	h.m.disk.scan([]byte{tagBatch}, []byte{tagMember + 1}, func(_, _ []byte) bool { left++; return true })
	if left != 0 {
		t.Fatalf("%d keys are left", left)
	}
	if h.state("j3") != JobCanceled {
		t.Fatal("its jobs went with it")
	}
}

func TestCreateBatch_BadInputIsRefused(t *testing.T) {
	h := newHarness(t)
	for name, change := range map[string]func(*fsmpb.CreateBatch){
		"id":        func(c *fsmpb.CreateBatch) { c.Batch = nil },
		"namespace": func(c *fsmpb.CreateBatch) { c.Namespace = "" },
		"name":      func(c *fsmpb.CreateBatch) { c.Name = "\x01" },
		"graph":     func(c *fsmpb.CreateBatch) { c.OnDeath.Graph = []byte("{") },
		"data":      func(c *fsmpb.CreateBatch) { c.OnSuccess.Data = []byte("{") },
		"expired":   func(c *fsmpb.CreateBatch) { c.ExpiresMs = h.now },
		"retain":    func(c *fsmpb.CreateBatch) { c.RetainMs = -1 },
	} {
		c := newBatch(t, "B")
		change(c)
		if a := h.answer(createBatchCmd(c)); a.Refusal == nil || a.Refusal.Code != CodeInvalid {
			t.Errorf("%s: %+v", name, a)
		}
	}
	h.refused(inBatch("B", submit("a", chain(t, 1), `1`)), CodeNotFound)
	h.created(createBatchCmd(newBatch(t, "B")))
	c := newBatch(t, "B")
	c.Name = "other"
	h.refused(createBatchCmd(c), CodeConflict)
	other := inBatch("B", submit("a", chain(t, 1), `1`))
	other.GetSubmitJob().Namespace = "elsewhere"
	h.refused(other, CodeNotFound)
}

// newBatchGraph is a callback that the workers of the random tests can run.
func newBatchGraph(t testing.TB) []byte { return dag.Encode(chain(t, 1)) }
