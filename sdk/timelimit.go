package sdk

import (
	"context"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// HardTimeout ends an attempt's lease in the cluster, whatever the worker does: the attempt is charged, the
// next one may begin, and a late result is refused. It counts from the lease. Default: Timeout and 20 s; no
// bound without a Timeout. It must not be shorter than Timeout.
func HardTimeout(d time.Duration) AnyOption {
	return func(s *settings) { s.duration("HardTimeout", d, &s.options.HardTimeoutMS) }
}

// HeartbeatTimeout ends an attempt, as HardTimeout does, whose function has called neither Heartbeat nor
// Progress for d. Default 0: it need not. Below a second it makes no sense.
func HeartbeatTimeout(d time.Duration) AnyOption {
	return func(s *settings) { s.duration("HeartbeatTimeout", d, &s.options.HeartbeatMS) }
}

func (s *settings) duration(name string, d time.Duration, field *int64) {
	if d < 0 {
		s.fail("%s(%v) is negative", name, d)
		return
	}
	*field = milliseconds(d)
}

// submitOption is the option for all steps of the job that have one task.
func (o PlainOption) submitOption(s *submitSettings) { s.override = append(s.override, o) }

// QueueWait limits how long a task may wait in its queue for its first attempt. Then it is EXPIRED, and its
// job CANCELED. Default 0: no bound. For tasks of Each and Fold it is refused; StartBy limits a whole job.
func QueueWait(d time.Duration) PlainOption {
	return func(s *settings) { s.duration("QueueWait", d, &s.options.QueueWaitMS) }
}

// StartBy drops a job of which nothing has started by a time: it is CANCELED, with a reason that begins with
// EXPIRED. A time that is over already is refused (ErrInvalid).
func StartBy(t time.Time) SubmitOption {
	return submitFunc(func(s *submitSettings) { s.options().StartByMs = t.UnixMilli() })
}

// StartWithin is StartBy, counted by the cluster's clock from the submission, or from StartAt when that is later.
func StartWithin(d time.Duration) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		if d <= 0 {
			s.fail("StartWithin(%v): %w: not positive", d, ErrInvalid)
		}
		s.options().StartWithinMs = milliseconds(d)
	})
}

// JobOption goes with NewTask and NewWorkflow, as the default of all jobs made of them, and with Submit. For
// a task or workflow within another one it does nothing.
type JobOption func(*submitSettings)

func (o JobOption) taskOption(s *settings)         { s.job = append(s.job, o) }
func (o JobOption) workflowOption(s *settings)     { s.job = append(s.job, o) }
func (o JobOption) submitOption(s *submitSettings) { o(s) }

// JobTimeout limits a whole job, retries included, from its submission or StartAt on: then it ends in FAILURE
// with the error type fanfold.Timeout. Default: no bound.
func JobTimeout(d time.Duration) JobOption {
	return func(s *submitSettings) {
		if d <= 0 {
			s.fail("JobTimeout(%v): %w: not positive", d, ErrInvalid)
		}
		s.options().TimeoutMs = milliseconds(d)
	}
}

// Heartbeat is a sign of life for HeartbeatTimeout, without news. Progress is one too. It may be called as
// often as one likes. Outside a task it panics.
func Heartbeat(ctx context.Context) {
	a := attemptOf(ctx, "Heartbeat")
	a.session.alive(a)
}

// alive sends the attempt's progress again, or an empty one, when it has a heartbeat limit.
func (s *session) alive(a *attempt) {
	if a.msg.HeartbeatMs == 0 {
		return
	}
	s.mu.Lock()
	p := a.said
	s.mu.Unlock()
	if p == nil {
		p = &apiv1.Progress{Fence: a.fence.proto()}
	}
	s.progressed(a, p)
}
