package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// shape is a job of plain steps, as the log has it so far.
type shape struct {
	state string
	steps []string
	held  map[fsm.Fence]lease
}

type lease struct {
	step    uint32
	session uint64
}

func (s *shape) text() string { return s.state + " " + strings.Join(s.steps, " ") }

// statuses are the statuses that the log gives each job of plain steps, in order, each at the index of its entry.
func statuses(entries []ledger.Entry) map[string][]version {
	jobs := map[fsm.JobID]*shape{}
	all := map[string][]version{}
	for _, e := range entries {
		if e.Result == nil {
			continue
		}
		touched := map[fsm.JobID]bool{}
		over := func(id fsm.JobID, f fsm.Fence, becomes string) {
			if j := jobs[id]; j != nil {
				if l, ok := j.held[f]; ok {
					delete(j.held, f)
					j.steps[l.step] = becomes
					touched[id] = true
				}
			}
		}
		// What timers withdraw, they do before the commands.
		for _, r := range e.Result.Revokes {
			over(r.Task.Job, r.Fence, "-")
		}
		for i, c := range e.Commands {
			a := e.Result.Answers[i]
			if a.Refusal != nil {
				continue
			}
			switch k := c.Kind.(type) {
			case *fsmpb.Command_SubmitJob:
				if g, err := dag.Decode(k.SubmitJob.Graph); err == nil && !a.Existing {
					jobs[a.Job] = &shape{state: running, steps: slices.Repeat([]string{"-"}, len(g.Steps)), held: map[fsm.Fence]lease{}}
					touched[a.Job] = true
				}
			case *fsmpb.Command_CompleteTask:
				over(fsm.JobID(k.CompleteTask.GetTask().GetJob()), fsm.FenceOf(k.CompleteTask.GetFence()), "SUCCESS")
			case *fsmpb.Command_FailTask:
				over(fsm.JobID(k.FailTask.GetTask().GetJob()), fsm.FenceOf(k.FailTask.GetFence()), "-")
			case *fsmpb.Command_ReleaseTask:
				over(fsm.JobID(k.ReleaseTask.GetTask().GetJob()), fsm.FenceOf(k.ReleaseTask.GetFence()), "-")
			case *fsmpb.Command_CloseSession:
				for id, j := range jobs {
					for f, l := range j.held {
						if l.session == k.CloseSession.Session {
							over(id, f, "-")
						}
					}
				}
			}
		}
		for _, f := range e.Result.Finished {
			if j := jobs[f.Job]; j != nil {
				j.state = f.State.String()
				touched[f.Job] = true
			}
		}
		for _, g := range e.Result.Grants {
			if j := jobs[g.Task.Job]; j != nil && int(g.Task.Step) < len(j.steps) {
				j.steps[g.Task.Step] = fmt.Sprintf("STARTED(%d.%d)", g.Fence.Index, g.Fence.Pos)
				j.held[g.Fence] = lease{g.Task.Step, g.Session}
				touched[g.Task.Job] = true
			}
		}
		for id := range touched {
			all[id.String()] = append(all[id.String()], version{index: e.Index, value: jobs[id].text()})
		}
	}
	return all
}
