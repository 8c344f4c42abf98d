package fsm

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// limit gives some submissions limits of time.
func (s *script) limit(t *rapid.T, c *fsmpb.SubmitJob) {
	o := new(fsmpb.JobOptions)
	switch rapid.IntRange(0, 9).Draw(t, "limit") {
	case 0:
		o.StartByMs = max(s.h.now, c.NotBeforeMs) + 150
	case 1:
		o.StartWithinMs = 100
	case 2:
		o.TimeoutMs = 400
	default:
		return
	}
	c.Options, _ = proto.MarshalOptions{Deterministic: true}.Marshal(o)
}

func failureOf(g Grant, errorType string) *fsmpb.Command {
	c := failure(g, "err", false)
	c.GetFailTask().Error.Type = errorType
	return c
}

// timedOut forgets the leases that an entry has withdrawn: reports under them are stale.
func (s *script) timedOut(r *Result) {
	for _, v := range r.Revokes {
		if v.Cause == causeTimeout {
			s.held = slices.DeleteFunc(s.held, func(g Grant) bool {
				if g.Fence == v.Fence {
					s.over = append(s.over, g)
				}
				return g.Fence == v.Fence
			})
		}
	}
}

// silent ends an attempt that has a heartbeat limit, and lets go of one that was ended before.
func (s *script) silent(t *rapid.T) {
	if len(s.over) > 0 {
		g := s.over[0]
		s.over = s.over[1:]
		if r := s.apply(complete(g, `"late"`)); r.Answers[0].Refusal == nil || r.Answers[0].Refusal.Code != CodeStale {
			t.Fatalf("a result under a withdrawn lease: %+v", r.Answers[0])
		}
	}
	if len(s.held) == 0 {
		t.Skip()
	}
	g := rapid.SampledFrom(s.held).Draw(t, "lease")
	r := s.apply(&fsmpb.Command{Kind: &fsmpb.Command_TimeOutTask{TimeOutTask: &fsmpb.TimeOutTask{Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto()}}})
	if a := r.Answers[0]; a.Refusal != nil && a.Refusal.Code != CodeInvalid && a.Refusal.Code != CodeStale {
		t.Fatal(a.Refusal)
	}
}

// redrive starts to retry or discard the dead, and sometimes stops again.
func (s *script) redrive(t *rapid.T) {
	s.n++
	id := jobID(fmt.Sprint("redrive", s.n))
	c := &fsmpb.StartRedrive{Id: id[:], Namespace: "default", Jobs: 2, PeriodMs: 100, Filter: &fsmpb.DeadFilter{}}
	if rapid.Bool().Draw(t, "discard") {
		c.Discard, c.Reason = true, "test"
	}
	if rapid.Bool().Draw(t, "filter") {
		c.Filter.ErrorType = "Hopeless"
	}
	s.apply(&fsmpb.Command{Kind: &fsmpb.Command_StartRedrive{StartRedrive: c}})
	if rapid.Bool().Draw(t, "stop") {
		s.apply(&fsmpb.Command{Kind: &fsmpb.Command_StopRedrive{StopRedrive: &fsmpb.StopRedrive{Id: id[:], Namespace: "default"}}})
	}
}

func (s *script) discard(t *rapid.T) {
	if len(s.jobs) == 0 {
		t.Skip()
	}
	id := rapid.SampledFrom(s.jobs).Draw(t, "job")
	s.apply(&fsmpb.Command{Kind: &fsmpb.Command_DiscardJob{DiscardJob: &fsmpb.DiscardJob{Job: id[:], Reason: "test"}}})
}

// follow takes what a redrive or a discard has done to jobs without a command of their own.
func (s *script) follow(r *Result) {
	s.jobs = slices.DeleteFunc(s.jobs, func(id JobID) bool {
		j := s.h.m.disk.get(keyJob(id))
		if j == nil {
			delete(s.ended, id)
			s.purged = append(s.purged, s.names[id])
			return true
		}
		if s.ended[id] == JobFailure && !slices.ContainsFunc(r.Finished, func(f Finished) bool { return f.Job == id }) {
			if _, now, _ := s.h.m.disk.jobHead(id); now == JobRunning {
				delete(s.ended, id)
			}
		}
		return false
	})
}
