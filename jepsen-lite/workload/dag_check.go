package workload

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// graphJob is what the log and the clients say of one job.
type graphJob struct {
	key      string
	want     expected
	canceled bool // a cancel was acknowledged, or may have happened
	retried  bool
	names    []string // of the steps
	failed   map[fsm.TaskRef]int
	state    fsm.JobState
}

// checkDAG compares what each graph came to with what the oracle says.
func checkDAG(e *evidence.Evidence) []evidence.Verdict {
	equal := evidence.Verdict{ID: "D4", Rule: "what a graph comes to is what an oracle computes from its input"}
	policy := evidence.Verdict{ID: "D5", Rule: "a graph fails exactly when a step of it dies, and by that step; items that may die do not end it"}
	stopped := evidence.Verdict{ID: "S7", Rule: "a job is CANCELED only when a client canceled it"}
	tries := evidence.Verdict{ID: "A3", Rule: "a task that fails n times and then succeeds is charged with n failures"}
	jobs := graphJobs(e)
	for _, op := range e.Ops {
		j := jobs[op.Key]
		if op.Kind != "await" || op.Outcome != history.OK || j == nil {
			continue
		}
		state, step, _ := strings.Cut(op.Value, " ")
		where := fmt.Sprintf("job %s of key %s came to %s at %v", op.Key, j.key, op.Value, op.End)
		switch state {
		case string(sdk.Canceled):
			stopped.Count++
			if !j.canceled {
				stopped.Violate(where + ", and nobody canceled it")
			}
		case string(sdk.Failure):
			policy.Count++
			if !slices.Contains(j.want.killers, step) {
				policy.Violate(fmt.Sprintf("%s; the steps that die are %v", where, j.want.killers))
			}
		default:
			equal.Count++
			policy.Count++
			if len(j.want.killers) > 0 {
				policy.Violate(fmt.Sprintf("%s; it should have failed by one of %v", where, j.want.killers))
			} else if op.Value != strconv.FormatUint(j.want.value, 10) {
				equal.Violate(fmt.Sprintf("%s; the oracle says %d", where, j.want.value))
			}
		}
	}
	for id, j := range jobs {
		if j.state != fsm.JobSuccess || j.retried {
			continue
		}
		for ref, n := range j.failed {
			tries.Count++
			step := j.names[ref.Step]
			if want, said := j.want.failures[step][ref.Shard]; said && n != want {
				tries.Violate(fmt.Sprintf("job %s: task %s of step %s failed %d times; the oracle says %d", id, ref, step, n, want))
			}
		}
		for step, shards := range j.want.failures {
			for shard, want := range shards {
				ref := fsm.TaskRef{Step: uint32(slices.Index(j.names, step)), Shard: shard}
				ref.Job, _ = fsm.ParseJobID(id)
				if n := j.failed[ref]; want > 0 && n == 0 {
					tries.Violate(fmt.Sprintf("job %s: item %d of step %s never failed; the oracle says %d times", id, shard, step, want))
				}
			}
		}
	}
	return []evidence.Verdict{equal, policy, stopped, tries}
}

// graphJobs gathers the jobs that the log has, by id.
func graphJobs(e *evidence.Evidence) map[string]*graphJob {
	jobs := map[string]*graphJob{}
	canceled := map[string]bool{}
	for _, op := range e.Ops {
		if op.Kind == "cancel" && op.Outcome != history.Fail {
			canceled[op.Key] = true
		}
	}
	for _, entry := range e.Ledger.Entries {
		for i, c := range entry.Commands {
			a := entry.Result.Answers[i]
			if a.Refusal != nil {
				continue
			}
			switch k := c.Kind.(type) {
			case *fsmpb.Command_SubmitJob:
				g, err := dag.Decode(k.SubmitJob.Graph)
				if id := a.Job.String(); err == nil && jobs[id] == nil {
					j := &graphJob{key: k.SubmitJob.Key, want: sketchOf(seedOf(k.SubmitJob.Key)).expect(), canceled: canceled[id], failed: map[fsm.TaskRef]int{}}
					for n := range g.Steps {
						j.names = append(j.names, g.Step(dag.StepID(n)).Name)
					}
					jobs[id] = j
				}
			case *fsmpb.Command_RetryJob:
				if j := jobs[a.Job.String()]; j != nil {
					j.retried = true
				}
			case *fsmpb.Command_FailTask:
				ref := fsm.TaskRef{Job: fsm.JobID(k.FailTask.GetTask().GetJob()), Step: k.FailTask.GetTask().GetStep(), Shard: k.FailTask.GetTask().GetShard()}
				if j := jobs[ref.Job.String()]; j != nil && !a.Duplicate {
					j.failed[ref]++
				}
			}
		}
		if entry.Result == nil {
			continue
		}
		for _, f := range entry.Result.Finished {
			if j := jobs[f.Job.String()]; j != nil {
				j.state = f.State
			}
		}
	}
	return jobs
}
