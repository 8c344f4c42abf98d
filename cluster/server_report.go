package cluster

import (
	"errors"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

const (
	errorTypeMax    = 255
	errorMessageMax = 4 << 10
	errorStackMax   = 16 << 10
)

// reported is the messages that one report becomes, in one allocation for all reports of a message.
type reported struct {
	cmd   fsmpb.Command
	fence fsmpb.Fence
	task  fsmpb.TaskRef
	value fsmpb.Value

	complete     fsmpb.CompleteTask
	completeKind fsmpb.Command_CompleteTask
}

// commandsOf translates reports. Those that are wrong in themselves come back answered: their lease
// goes on, and the worker has to say how the attempt ended.
func commandsOf(session uint64, reports []*apiv1.Report) (cmds []*fsmpb.Command, fences []fsm.Fence, wrong engine.Acks) {
	slab := make([]reported, len(reports))
	cmds = make([]*fsmpb.Command, 0, len(reports))
	fences = make([]fsm.Fence, 0, len(reports))
	for i, r := range reports {
		one, f := &slab[i], fenceOf(r.GetFence())
		if refusal := one.fill(session, r); refusal != nil {
			wrong.Fences = append(wrong.Fences, f)
			wrong.Answers = append(wrong.Answers, fsm.Answer{Refusal: refusal})
			continue
		}
		cmds, fences = append(cmds, &one.cmd), append(fences, f)
	}
	return cmds, fences, wrong
}

func (o *reported) fill(session uint64, r *apiv1.Report) *fsm.Refusal {
	o.fence.Index, o.fence.Pos = r.GetFence().GetIndex(), r.GetFence().GetPos()
	o.task.Job, o.task.Step, o.task.Shard = r.GetTask().GetJob(), r.GetTask().GetStep(), r.GetTask().GetShard()
	switch out := r.GetOutcome().(type) {
	case *apiv1.Report_Result:
		var refusal *fsm.Refusal
		if errors.As(fillValue(&o.value, "the result", out.Result), &refusal) {
			return refusal
		}
		o.complete.Session, o.complete.Fence, o.complete.Task, o.complete.Result = session, &o.fence, &o.task, &o.value
		o.completeKind.CompleteTask = &o.complete
		o.cmd.Kind = &o.completeKind
	case *apiv1.Report_Failure:
		f := out.Failure
		o.cmd.Kind = &fsmpb.Command_FailTask{FailTask: &fsmpb.FailTask{
			Session: session, Fence: &o.fence, Task: &o.task, Error: errorOf(f.GetError()),
			Permanent: f.GetPermanent(), RetryAfterMs: min(max(0, f.GetRetryAfterMs()), durationMaxMS), Snooze: f.GetSnooze(), Discard: f.GetDiscard(), Timeout: f.GetTimeout(), RateLimitedMs: min(max(0, f.GetRateLimitedMs()), durationMaxMS)}}
	case *apiv1.Report_Release:
		o.cmd.Kind = &fsmpb.Command_ReleaseTask{ReleaseTask: &fsmpb.ReleaseTask{Session: session, Fence: &o.fence, Task: &o.task}}
	default:
		return refuse(fsm.CodeInvalid, "a report needs a result, a failure or a release")
	}
	return nil
}

// errorOf cuts an error to what the log takes: it is for people, and its begin says most.
func errorOf(e *apiv1.TaskError) *fsmpb.Error {
	return &fsmpb.Error{Type: cut(e.GetType(), errorTypeMax), Message: cut(e.GetMessage(), errorMessageMax), Stack: cut(e.GetStack(), errorStackMax)}
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 { // not within a character: protobuf strings are UTF-8
		limit--
	}
	return s[:limit]
}

// ack is the messages of one acknowledgement in one allocation.
type ack struct {
	msg   apiv1.Ack
	fence apiv1.Fence
}

func acksTo(all []engine.Acks) []*apiv1.Ack {
	n := 0
	for _, a := range all {
		n += len(a.Fences)
	}
	if n == 0 {
		return nil
	}
	slab := make([]ack, n)
	out := make([]*apiv1.Ack, 0, n)
	for _, a := range all {
		for i, f := range a.Fences {
			one := &slab[len(out)]
			one.fence.Index, one.fence.Pos = f.Index, f.Pos
			one.msg.Fence = &one.fence
			if no := a.Answers[i].Refusal; no != nil {
				one.msg.Code, one.msg.Message = string(no.Code), no.Message
			} else {
				one.msg.Accepted = true
			}
			out = append(out, &one.msg)
		}
	}
	return out
}
