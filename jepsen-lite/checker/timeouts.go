package checker

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// hardGraceMS is how much longer than its soft limit an attempt's lease lasts, when it has no hard one.
const hardGraceMS = 20_000

// Reasons that the state machine gives.
const (
	ranFor     = "the job ran for"
	notStarted = "EXPIRED: nothing of the job"
	waitedFor  = "EXPIRED: step"
)

// timeouts folds the log over the time limits that the state keeps. last is a job's state at the end of the log.
// Limits by heartbeats are not among them: signs of life are not in the log.
func timeouts(all []event, last func(fsm.JobID) *fsm.JobView) []evidence.Verdict {
	early := evidence.Verdict{ID: "T5", Rule: "no time limit ends anything before its time, by the log's clock"}
	over := evidence.Verdict{ID: "T5", Rule: "nothing is started, or accepted, after its time limit, by the log's clock"}
	limited := map[fsm.JobID]*limitedJob{}
	graph := graphs(all)
	leases := map[fsm.Fence]int64{} // when each was given
	silent := map[fsm.Fence]bool{}  // attempts that were ended for want of a sign of life
	for _, e := range all {
		j := limited[e.job]
		switch e.what {
		case submitted:
			limited[e.job] = newLimitedJob(e)
		case retried:
			if j != nil {
				j.begin, j.startBy = e.nowMS, 0
			}
		case silenced:
			silent[e.fence] = true
		case granted:
			leases[e.fence] = e.nowMS
			if j == nil {
				continue
			}
			if j.startBy > 0 && !j.started {
				over.Count++
				if e.nowMS >= j.startBy {
					over.Violate(fmt.Sprintf("index %d: task %s, the first of its job, is granted %d ms after the job had to have started", e.index, e.ref, e.nowMS-j.startBy))
				}
			}
			j.started = true
		case completed, failed:
			if limit := leaseLimit(graph[e.job], e.ref); limit > 0 {
				over.Count++
				if late := e.nowMS - leases[e.fence] - limit; late >= 0 {
					over.Violate(fmt.Sprintf("index %d: a report of task %s is accepted %d ms after the attempt's limit of %d ms", e.index, e.ref, late, limit))
				}
			}
		case revoked:
			if e.cause != causeTimeout || silent[e.fence] {
				continue
			}
			early.Count++
			limit := leaseLimit(graph[e.job], e.ref)
			if ran := e.nowMS - leases[e.fence]; graph[e.job] != nil && (limit == 0 || ran < limit) {
				early.Violate(fmt.Sprintf("index %d: the attempt of task %s is ended after %d ms; its limit is %d ms (0: none)", e.index, e.ref, ran, limit))
			}
		case ended:
			if j == nil || j.off {
				continue
			}
			j.ended = e
			if e.state == fsm.JobSuccess && j.timeout > 0 {
				over.Count++
				if late := e.nowMS - j.begin - j.timeout; late >= 0 {
					over.Violate(fmt.Sprintf("index %d: job %s succeeds %d ms after its limit of %d ms", e.index, e.job, late, j.timeout))
				}
			}
		}
	}
	for id, j := range limited {
		if j.ended.index == 0 || j.off {
			continue
		}
		if text, judged := j.early(last(id), graph[id]); judged {
			early.Count++
			if text != "" {
				early.Violate(fmt.Sprintf("index %d: job %s %s", j.ended.index, id, text))
			}
		}
	}
	return []evidence.Verdict{early, over}
}

// leaseLimit is how long an attempt's lease may last, in ms; 0: without bound, or not known.
func leaseLimit(g *dag.Graph, ref fsm.TaskRef) int64 {
	if g == nil {
		return 0
	}
	o := g.Step(dag.StepID(ref.Step)).Options
	switch {
	case o.HardTimeoutMS > 0:
		return o.HardTimeoutMS
	case o.TimeoutMS > 0:
		return o.TimeoutMS + hardGraceMS
	}
	return 0
}

// limitedJob is what a job's time limits are.
type limitedJob struct {
	begin   int64 // when it was submitted, may begin, or was retried
	startBy int64 // unix ms; 0: no bound
	timeout int64 // ms; 0: none
	off     bool  // it may be put off: its times are not in the log
	started bool
	ended   event // the last end
}

func newLimitedJob(e event) *limitedJob {
	j := &limitedJob{begin: max(e.nowMS, e.submit.NotBeforeMs)}
	var o fsmpb.JobOptions
	if proto.Unmarshal(e.submit.Options, &o) != nil || o.Unique != nil {
		j.off = true
		return j
	}
	j.timeout, j.startBy = o.TimeoutMs, o.StartByMs
	if o.StartWithinMs > 0 {
		j.startBy = j.begin + o.StartWithinMs
	}
	return j
}

// early says what is wrong with a job that a time limit has ended; judged is false for one that ended otherwise.
func (j *limitedJob) early(last *fsm.JobView, g *dag.Graph) (text string, judged bool) {
	if last == nil {
		return "", false
	}
	at := j.ended.nowMS
	switch {
	case last.State == fsm.JobFailure && last.Error != nil && strings.HasPrefix(last.Error.Err.GetMessage(), ranFor):
		if j.timeout == 0 || at < j.begin+j.timeout {
			return fmt.Sprintf("is out of time after %d ms; its limit is %d ms (0: none)", at-j.begin, j.timeout), true
		}
	case last.State == fsm.JobCanceled && strings.HasPrefix(last.CancelReason, notStarted):
		if j.startBy == 0 || at < j.startBy {
			return fmt.Sprintf("expires at %d; it had to have started by %d (0: by no time)", at, j.startBy), true
		}
	case last.State == fsm.JobCanceled && strings.HasPrefix(last.CancelReason, waitedFor):
		least := int64(0)
		for i := range g.Steps {
			if wait := g.Steps[i].Options.QueueWaitMS; wait > 0 && (least == 0 || wait < least) {
				least = wait
			}
		}
		if least == 0 || at < j.begin+least {
			return fmt.Sprintf("expires in its queue after %d ms; its limit is %d ms (0: none)", at-j.begin, least), true
		}
	default:
		return "", false
	}
	return "", true
}
