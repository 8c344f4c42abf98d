package checker

import (
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// what says what happened by an entry of the log.
type what int

const (
	submitted    what = iota // a job was made by SubmitJob
	deduplicated             // SubmitJob was answered with a job that there was
	canceled                 // CancelJob was accepted, and the job is CANCELED
	retried                  // RetryJob was accepted
	completed                // the result of a task was accepted
	repeated                 // ... had been accepted before
	failed                   // the failure of an attempt was accepted
	released                 // an attempt was handed back
	saved                    // a checkpoint was accepted
	revoked                  // a lease was withdrawn
	opened                   // a session began
	closed                   // a session has ended
	granted                  // a lease was given
	ended                    // a job reached a terminal state
	redriven                 // from here on ended jobs may run again without a command of their own
	silenced                 // an attempt was ended for want of a sign of life
	limitSet                 // a limit was made, or has other numbers
	limitDeleted
	rejected // SubmitJob was refused because another job has its unique key
)

// event is one thing that the log says has happened. Refused commands are none, but for those that a unique key has refused.
type event struct {
	what    what
	index   uint64
	nowMS   int64 // the state machine's time
	job     fsm.JobID
	ref     fsm.TaskRef
	fence   fsm.Fence
	session uint64
	open    *fsmpb.OpenSession
	lost    bool // closed: the worker fell silent
	grant   fsm.Grant
	submit  *fsmpb.SubmitJob
	fail    *fsmpb.FailTask
	result  *fsmpb.Value
	cause   string // revoked
	limit   *fsmpb.Limit
	state   fsm.JobState
	more    bool // the entry had no room for all that was due
}

// events flattens the log. Within an entry: the attempts that are out of time, its commands, then what else was
// withdrawn, given and ended by it.
func events(entries []ledger.Entry) (all []event) {
	now := int64(0)
	for _, entry := range entries {
		if entry.Result == nil {
			continue
		}
		now = max(now, entry.NowMS) // as the state machine does: its time never goes back
		at := event{index: entry.Index, nowMS: now, more: entry.Result.More}
		silent := map[fsm.Fence]bool{}
		for _, c := range entry.Commands {
			if k, ok := c.Kind.(*fsmpb.Command_TimeOutTask); ok {
				silent[fsm.FenceOf(k.TimeOutTask.Fence)] = true
			}
		}
		timer := func(r fsm.Revoke) bool { return r.Cause == causeTimeout && !silent[r.Fence] }
		for _, r := range entry.Result.Revokes {
			if timer(r) { // timers fire before the commands
				all = append(all, revoke(at, r))
			}
		}
		for i, c := range entry.Commands {
			a := entry.Result.Answers[i]
			if k, ok := c.Kind.(*fsmpb.Command_SubmitJob); ok && a.Refusal != nil && a.Refusal.Code == fsm.CodeExists {
				e := at
				e.what, e.submit = rejected, k.SubmitJob
				all = append(all, e)
			}
			if a.Refusal == nil {
				if e, ok := command(at, c, a); ok {
					all = append(all, e)
				}
			}
		}
		for _, r := range entry.Result.Revokes {
			if !timer(r) {
				all = append(all, revoke(at, r))
			}
		}
		for _, f := range entry.Result.Finished {
			e := at
			e.what, e.job, e.state = ended, f.Job, f.State
			all = append(all, e)
		}
		for _, g := range entry.Result.Grants {
			e := at
			e.what, e.job, e.ref, e.fence, e.session, e.grant = granted, g.Task.Job, g.Task, g.Fence, g.Session, g
			all = append(all, e)
		}
	}
	return all
}

// causeTimeout is the cause of a revoke by a time limit, or for want of a sign of life.
const causeTimeout = "TIMEOUT"

func revoke(e event, r fsm.Revoke) event {
	e.what, e.job, e.ref, e.fence, e.session, e.cause = revoked, r.Task.Job, r.Task, r.Fence, r.Session, r.Cause
	return e
}

// command is the event of an accepted command; ok is false for those that no checker asks for.
func command(e event, c *fsmpb.Command, a fsm.Answer) (_ event, ok bool) {
	task := func(w what, session uint64, f *fsmpb.Fence, t *fsmpb.TaskRef) (event, bool) {
		e.what, e.session, e.fence, e.ref = w, session, fsm.FenceOf(f), refOf(t)
		e.job = e.ref.Job
		return e, true
	}
	job := func(w what) (event, bool) {
		e.what, e.job, e.state = w, a.Job, a.State
		return e, true
	}
	switch k := c.Kind.(type) {
	case *fsmpb.Command_SubmitJob:
		e.submit = k.SubmitJob
		if a.Existing {
			return job(deduplicated)
		}
		return job(submitted)
	case *fsmpb.Command_CancelJob:
		if a.State == fsm.JobCanceled {
			return job(canceled)
		}
	case *fsmpb.Command_RetryJob:
		return job(retried)
	case *fsmpb.Command_StartRedrive:
		return job(redriven)
	case *fsmpb.Command_OpenSession:
		e.what, e.session, e.open = opened, a.Session, k.OpenSession
		return e, true
	case *fsmpb.Command_CloseSession:
		e.what, e.session, e.lost = closed, k.CloseSession.Session, k.CloseSession.Lost
		return e, true
	case *fsmpb.Command_CompleteTask:
		e.result = k.CompleteTask.Result
		if a.Duplicate {
			return task(repeated, k.CompleteTask.Session, k.CompleteTask.Fence, k.CompleteTask.Task)
		}
		return task(completed, k.CompleteTask.Session, k.CompleteTask.Fence, k.CompleteTask.Task)
	case *fsmpb.Command_FailTask:
		e.fail = k.FailTask
		if !a.Duplicate {
			return task(failed, k.FailTask.Session, k.FailTask.Fence, k.FailTask.Task)
		}
	case *fsmpb.Command_TimeOutTask:
		return task(silenced, k.TimeOutTask.Session, k.TimeOutTask.Fence, k.TimeOutTask.Task)
	case *fsmpb.Command_SetLimit:
		e.what, e.limit = limitSet, k.SetLimit.Limit
		return e, true
	case *fsmpb.Command_DeleteLimit:
		e.what, e.limit = limitDeleted, k.DeleteLimit.Limit
		return e, true
	case *fsmpb.Command_ReleaseTask:
		return task(released, k.ReleaseTask.Session, k.ReleaseTask.Fence, k.ReleaseTask.Task)
	case *fsmpb.Command_SaveTask:
		if !a.Duplicate {
			return task(saved, k.SaveTask.Session, k.SaveTask.Fence, k.SaveTask.Task)
		}
	}
	return e, false
}

// graphs are the graphs of the jobs that were submitted. Jobs that a schedule, a webhook or a batch makes are
// not among them: what is judged by a graph is not judged of those.
func graphs(all []event) map[fsm.JobID]*dag.Graph {
	decoded := map[string]*dag.Graph{}
	of := map[fsm.JobID]*dag.Graph{}
	for _, e := range all {
		if e.what != submitted {
			continue
		}
		g := decoded[string(e.submit.Graph)]
		if g == nil {
			var err error
			if g, err = dag.Decode(e.submit.Graph); err != nil {
				continue // it was accepted: the state machine has judged it
			}
			decoded[string(e.submit.Graph)] = g
		}
		of[e.job] = g
	}
	return of
}

func decode(graph []byte) *dag.Graph {
	g, err := dag.Decode(graph)
	if err != nil {
		return nil
	}
	return g
}

func refOf(t *fsmpb.TaskRef) fsm.TaskRef {
	var id fsm.JobID
	copy(id[:], t.GetJob())
	return fsm.TaskRef{Job: id, Step: t.GetStep(), Shard: t.GetShard()}
}
