package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// receive takes one message of the leader.
func (s *session) receive(m *apiv1.WorkResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ack := range m.Acks {
		s.acknowledge(ack)
	}
	for _, r := range m.Revokes {
		s.revoke(fenceOf(r.Fence), revokeCause(r.Cause, r.Reason))
	}
	if m.Heartbeat && !s.beatSent.IsZero() {
		s.renew(s.beatSent)
		s.beatSent = time.Time{}
	}
	s.fill()
	s.assign(m.Assignments)
	s.checkQuiet()
}

// acknowledge takes the answer to a report. Precondition: mu is held.
func (s *session) acknowledge(ack *apiv1.Ack) {
	f := fenceOf(ack.Fence)
	r := s.reports[f]
	if r == nil {
		return // to a report that was sent twice
	}
	if !ack.Accepted && putOff(ack.Code) {
		s.later = append(s.later, r)
		return
	}
	delete(s.reports, f)
	delete(s.last, f)
	switch {
	case ack.Accepted:
	case ack.Code == "STALE":
		s.stale++
		s.log.Warn("a report was refused: its lease was over", "fence", f.String(), "step", r.Task.GetStep(),
			"shard", r.Task.GetShard(), "message", ack.Message, "refused", s.stale)
	case ack.Code == "CANCELED":
		s.log.Debug("a report came after its job's end", "fence", f.String(), "message", ack.Message)
	default:
		s.log.Warn("a report was refused", "fence", f.String(), "code", ack.Code, "message", ack.Message)
		s.replace(r, ack)
	}
}

// putOff says whether a refusal is about the moment and not about the report.
func putOff(code string) bool {
	return code == "OVERLOADED" || code == "NO_LEADER" || code == "NOT_LEADER" || code == "OUTCOME_UNKNOWN"
}

// replace reports something else in place of what was refused: a result becomes a failure, so that the
// task does not stay leased for ever, and a failure a release.
func (s *session) replace(r *apiv1.Report, ack *apiv1.Ack) {
	next := released(r.Fence, r.Task)
	switch r.Outcome.(type) {
	case *apiv1.Report_Result:
		if ack.Code == "NOT_FOUND" { // the uploaded result was removed before the report came: no fault of the task's
			break
		}
		next.Outcome = &apiv1.Report_Failure{Failure: &apiv1.Failure{
			Error:     &apiv1.TaskError{Type: "sdk.Refused", Message: clip("the result was refused: "+ack.Code+": "+ack.Message, maxErrorMessage)},
			Permanent: true,
		}}
	case *apiv1.Report_Release:
		return
	}
	s.post(fenceOf(r.Fence), next)
}

// revokeCause is the cause that a task's context ends with, and why, in the words of who canceled it.
func revokeCause(cause, reason string) error {
	err := ErrLeaseLost
	switch cause {
	case "TIMEOUT": // HardTimeout, HeartbeatTimeout
		return context.DeadlineExceeded
	case "JOB_CANCELED", "JOB_EXPIRED":
		err = ErrJobCanceled
	case "JOB_FAILED":
		err = ErrJobFailed
	}
	if reason != "" {
		return fmt.Errorf("%w: %s", err, reason)
	}
	return err
}

// revoke cancels an attempt. Precondition: mu is held.
func (s *session) revoke(f fence, cause error) {
	a := s.running[f]
	if a == nil {
		return
	}
	lost := errors.Is(cause, ErrLeaseLost)
	switch {
	case !s.withdraw(a):
		if lost {
			a.gone.Store(true)
			s.vacate(a)
		}
		a.cancel(cause)
	case lost:
		s.dismiss(a, cause)
	default:
		s.handBack(a) // its slot is taken until the worker says something
	}
}
