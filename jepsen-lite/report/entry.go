package report

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// describe says in lines what an entry did; of one job when it is given, and then nothing when the entry does
// not concern it.
func describe(e *ledger.Entry, job fsm.JobID) (lines []string) {
	if e.Result == nil {
		if job.IsZero() {
			return []string{"an entry of Raft's own"}
		}
		return nil
	}
	all := job.IsZero()
	for i, c := range e.Commands {
		a := e.Result.Answers[i]
		if s, of := command(c); all || of == job || a.Job == job {
			lines = append(lines, s+answer(a))
		}
	}
	for _, r := range e.Result.Revokes {
		if all || r.Task.Job == job {
			lines = append(lines, fmt.Sprintf("→ revoked: task %s of session %d under %s, %s %s", r.Task, r.Session, r.Fence, r.Cause, r.Reason))
		}
	}
	for _, g := range e.Result.Grants {
		if all || g.Task.Job == job {
			lines = append(lines, fmt.Sprintf("→ granted: task %s (%s) to session %d under %s, attempt %d", g.Task, g.Step, g.Session, g.Fence, g.Attempt))
		}
	}
	for _, f := range e.Result.Finished {
		if all || f.Job == job {
			lines = append(lines, fmt.Sprintf("→ ended: job %s in %s", f.Job, f.State))
		}
	}
	if len(lines) == 0 && all {
		return []string{"a tick"}
	}
	return lines
}

func answer(a fsm.Answer) string {
	switch {
	case a.Refusal != nil:
		return ": refused, " + string(a.Refusal.Code)
	case a.Duplicate:
		return ": accepted before"
	case a.Existing:
		return ": it is job " + a.Job.String() + " already"
	}
	return ": accepted"
}

// command is a command in one line, and the job that it names.
func command(c *fsmpb.Command) (string, fsm.JobID) {
	task := func(verb string, session uint64, f *fsmpb.Fence, t *fsmpb.TaskRef) (string, fsm.JobID) {
		job := jobOf(t.GetJob())
		return fmt.Sprintf("%s task %s/%d/%d of session %d under %d.%d", verb, job, t.GetStep(), t.GetShard(), session, f.GetIndex(), f.GetPos()), job
	}
	switch k := c.Kind.(type) {
	case *fsmpb.Command_SubmitJob:
		job := jobOf(k.SubmitJob.Job)
		return fmt.Sprintf("SubmitJob %s, key %q", job, k.SubmitJob.Key), job
	case *fsmpb.Command_CompleteTask:
		return task("CompleteTask", k.CompleteTask.Session, k.CompleteTask.Fence, k.CompleteTask.Task)
	case *fsmpb.Command_FailTask:
		s, job := task("FailTask", k.FailTask.Session, k.FailTask.Fence, k.FailTask.Task)
		return s + fmt.Sprintf(" (%s: %s)", k.FailTask.GetError().GetType(), short(k.FailTask.GetError().GetMessage())), job
	case *fsmpb.Command_ReleaseTask:
		return task("ReleaseTask", k.ReleaseTask.Session, k.ReleaseTask.Fence, k.ReleaseTask.Task)
	case *fsmpb.Command_TimeOutTask:
		return task("TimeOutTask", k.TimeOutTask.Session, k.TimeOutTask.Fence, k.TimeOutTask.Task)
	case *fsmpb.Command_SaveTask:
		return task("SaveTask", k.SaveTask.Session, k.SaveTask.Fence, k.SaveTask.Task)
	case *fsmpb.Command_CancelJob:
		return "CancelJob " + jobOf(k.CancelJob.Job).String(), jobOf(k.CancelJob.Job)
	case *fsmpb.Command_RetryJob:
		return "RetryJob " + jobOf(k.RetryJob.Job).String(), jobOf(k.RetryJob.Job)
	case *fsmpb.Command_PurgeJob:
		return "PurgeJob " + jobOf(k.PurgeJob.Job).String(), jobOf(k.PurgeJob.Job)
	}
	return other(c), fsm.JobID{}
}

// other names any other command by its message, and shows the beginning of what is in it.
func other(c *fsmpb.Command) string {
	m := c.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return "an empty command"
	}
	const most = 160
	inside, err := protojson.Marshal(m.Get(field).Message().Interface())
	if err != nil {
		return string(field.Message().Name())
	}
	text := strings.TrimSpace(string(inside))
	if len(text) > most {
		text = text[:most] + "…"
	}
	return string(field.Message().Name()) + " " + text
}

func jobOf(b []byte) (id fsm.JobID) {
	copy(id[:], b)
	return id
}
