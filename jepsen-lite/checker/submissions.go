package checker

import (
	"fmt"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// asked is what clients know of the submissions with one key.
type asked struct {
	ok      history.Op // the first that was acknowledged
	acked   bool
	unknown int
	refused string // of a refusal
}

// submissions compares what clients were told of their submissions with the log. Only what was submitted with
// a key can be found in it again.
func submissions(ops []history.Op, all []event) ([]evidence.Verdict, evidence.Submissions) {
	lost := evidence.Verdict{ID: "S1", Rule: "an acknowledged submission is in the log, and its job ends"}
	one := evidence.Verdict{ID: "S3", Rule: "all clients of a key are told the same job"}
	phantom := evidence.Verdict{ID: "S4", Rule: "no job exists that nobody submitted"}
	twice := evidence.Verdict{ID: "S5", Rule: "a submission makes one job or none, whether its outcome is known or not"}
	untrue := evidence.Verdict{ID: "S6", Rule: "a submission that was refused was not made"}
	keys := map[string]*asked{}
	for _, op := range ops {
		if op.Kind != "submit" || op.Key == "" {
			continue
		}
		k := keys[op.Key]
		if k == nil {
			k = &asked{}
			keys[op.Key] = k
		}
		switch {
		case op.Outcome == history.Unknown:
			k.unknown++
		case op.Outcome == history.Fail:
			k.refused = op.Error
		case !k.acked:
			k.ok, k.acked = op, true
		default:
			one.Count++
			if op.Value != k.ok.Value {
				one.Violate(fmt.Sprintf("key %s was answered with job %s at %v, and with job %s at %v", op.Key, k.ok.Value, k.ok.End, op.Value, op.End))
			}
		}
	}
	made := map[string][]event{}
	open := map[fsm.JobID]bool{} // jobs that have not ended
	for _, e := range all {
		switch e.what {
		case submitted:
			open[e.job] = true
			if e.submit.Key == "" || len(keys) == 0 {
				continue
			}
			phantom.Count++
			if keys[e.submit.Key] == nil {
				phantom.Violate(fmt.Sprintf("index %d: job %s of key %s: no client has submitted it", e.index, e.job, e.submit.Key))
			}
			made[e.submit.Key] = append(made[e.submit.Key], e)
		case retried:
			open[e.job] = true
		case ended:
			delete(open, e.job)
		}
	}
	var n evidence.Submissions
	for key, k := range keys {
		jobs := made[key]
		twice.Count++
		if len(jobs) > 1 {
			n.Duplicated++
			twice.Violate(fmt.Sprintf("index %d: job %s of key %s is the second; the first is %s of index %d", jobs[1].index, jobs[1].job, key, jobs[0].job, jobs[0].index))
		}
		switch {
		case k.acked:
			n.Acked++
			lost.Count++
			switch {
			case len(jobs) == 0:
				n.Lost++
				lost.Violate(fmt.Sprintf("job %s of key %s, acknowledged at %v, is not in the log", k.ok.Value, key, k.ok.End))
			case jobs[0].job.String() != k.ok.Value:
				n.Lost++
				lost.Violate(fmt.Sprintf("index %d: key %s made job %s; the client was told %s", jobs[0].index, key, jobs[0].job, k.ok.Value))
			case open[jobs[0].job]:
				n.Lost++
				lost.Violate(fmt.Sprintf("index %d: job %s of key %s, acknowledged at %v, has not ended", jobs[0].index, jobs[0].job, key, k.ok.End))
			}
		case k.unknown > 0 && len(jobs) > 0:
			n.Recovered++
		case k.unknown > 0:
			n.Never++
		default:
			n.Refused++
			untrue.Count++
			if len(jobs) > 0 {
				untrue.Violate(fmt.Sprintf("index %d: job %s of key %s was made; its client was told: %s", jobs[0].index, jobs[0].job, key, k.refused))
			}
		}
	}
	n.Unexpected = phantom.Total
	return []evidence.Verdict{lost, one, phantom, twice, untrue}, n
}
