package checker

import (
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// forged is a log that no cluster has written: what a broken one might have decided. Every method is an entry.
type forged struct {
	entries []ledger.Entry
	nowMS   int64
}

func (f *forged) entry(c *fsmpb.Command, a fsm.Answer, r fsm.Result) uint64 {
	index := uint64(len(f.entries) + 1)
	e := ledger.Entry{Index: index, Term: 1, NowMS: f.nowMS, Result: &r}
	if c != nil {
		e.Commands, r.Answers = []*fsmpb.Command{c}, []fsm.Answer{a}
	}
	f.entries = append(f.entries, e)
	return index
}

func (f *forged) submit(id fsm.JobID, key string, g *dag.Graph, notBeforeMS int64) {
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id[:], Key: key, Graph: dag.Encode(g), NotBeforeMs: notBeforeMS}}}, fsm.Answer{Job: id}, fsm.Result{})
}

// grant gives a lease under a new fence.
func (f *forged) grant(ref fsm.TaskRef, session uint64, attempt, crashes uint32) fsm.Fence {
	fence := fsm.Fence{Index: uint64(len(f.entries) + 1)}
	f.entry(nil, fsm.Answer{}, fsm.Result{Grants: []fsm.Grant{{Task: ref, Session: session, Fence: fence, Attempt: attempt, Crashes: crashes}}})
	return fence
}

func (f *forged) complete(ref fsm.TaskRef, session uint64, fence fsm.Fence, result string, a fsm.Answer) {
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_CompleteTask{CompleteTask: &fsmpb.CompleteTask{
		Session: session, Fence: fence.Proto(), Task: ref.Proto(), Result: &fsmpb.Value{Inline: []byte(result)},
	}}}, a, fsm.Result{})
}

func (f *forged) fail(ref fsm.TaskRef, session uint64, fence fsm.Fence, c *fsmpb.FailTask) {
	c.Session, c.Fence, c.Task = session, fence.Proto(), ref.Proto()
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: c}}, fsm.Answer{}, fsm.Result{})
}

func (f *forged) release(ref fsm.TaskRef, session uint64, fence fsm.Fence) {
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_ReleaseTask{ReleaseTask: &fsmpb.ReleaseTask{Session: session, Fence: fence.Proto(), Task: ref.Proto()}}}, fsm.Answer{}, fsm.Result{})
}

func (f *forged) closeSession(session uint64, lost bool) {
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_CloseSession{CloseSession: &fsmpb.CloseSession{Session: session, Lost: lost}}}, fsm.Answer{}, fsm.Result{})
}

func (f *forged) revoke(ref fsm.TaskRef, session uint64, fence fsm.Fence, cause string) {
	f.entry(nil, fsm.Answer{}, fsm.Result{Revokes: []fsm.Revoke{{Session: session, Fence: fence, Task: ref, Cause: cause}}})
}

func (f *forged) cancel(id fsm.JobID) {
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_CancelJob{CancelJob: &fsmpb.CancelJob{Job: id[:]}}}, fsm.Answer{Job: id, State: fsm.JobCanceled}, fsm.Result{})
}

func (f *forged) retry(id fsm.JobID) {
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_RetryJob{RetryJob: &fsmpb.RetryJob{Job: id[:]}}}, fsm.Answer{Job: id, State: fsm.JobRunning}, fsm.Result{})
}

func (f *forged) end(id fsm.JobID, s fsm.JobState) {
	f.entry(nil, fsm.Answer{}, fsm.Result{Finished: []fsm.Finished{{Job: id, State: s}}})
}

// chain is two plain steps, the second of which takes the first's result; three attempts and two crashes are too many.
func chain(t *testing.T) *dag.Graph {
	t.Helper()
	b := dag.NewBuilder("chain")
	o := dag.Options{Retry: dag.Retry{MaxAttempts: 3, CrashLimit: 2, FirstMS: 1000}}
	first := b.Task("first", dag.Step{Task: "a", Input: dag.Input(), Options: o})
	b.Output(b.Task("second", dag.Step{Task: "b", Input: first, Options: o}))
	return build(t, b)
}

// mapped is a map of two items, a fold that takes them as they land, and a step after both.
func mapped(t *testing.T) *dag.Graph {
	t.Helper()
	b := dag.NewBuilder("mapped")
	items := b.Map("items", dag.Step{Task: "a", Input: dag.Input()})
	sum := b.Fold("sum", dag.Step{Task: "b", Input: items, Options: dag.Options{FanIn: 2}})
	b.Output(b.Task("last", dag.Step{Task: "c", Input: sum}))
	return build(t, b)
}

func build(t *testing.T, b *dag.Builder) *dag.Graph {
	t.Helper()
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}
