package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/checker"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// found is what a simulation leaves to be judged.
type found struct {
	plan   Plan
	start  time.Time // of the load
	ops    []history.Op
	exits  []string
	final  map[string]string
	index  uint64 // of final
	logs   []ledger.Node
	broken []evidence.Verdict // what was noticed on the way
	took   time.Duration
}

// judge checks everything.
func judge(f found) ([]evidence.Verdict, evidence.Submissions, *ledger.Ledger, error) {
	book, err := ledger.Read(context.Background(), f.logs, f.plan.Tier == TierCluster || f.plan.Seed%8 == 0)
	if err != nil {
		return f.broken, evidence.Submissions{}, book, err
	}
	e := &evidence.Evidence{
		Ops: f.ops, Ledger: book, Final: f.final, FinalIndex: f.index, Exits: f.exits, Duration: f.took, Start: f.start, Faults: wrongClocks(f.plan, f.took),
		Moves: len(f.plan.Faults) > 0 || f.plan.Crash != nil,
	}
	verdicts := slices.Concat(f.broken, checker.Check(e), []evidence.Verdict{ticks(book), atOnce(book), uniques(e)})
	return verdicts, e.Submissions, book, nil
}

// wrongClocks says of how far a clock may have been ahead, as the checkers read it.
func wrongClocks(p Plan, took time.Duration) []evidence.Fault {
	ahead := time.Duration(0)
	for i, offset := range p.Clocks {
		for _, f := range p.Faults {
			if f.Kind == "clock-jump" && f.Node == i {
				offset += max(0, f.jump())
			}
		}
		ahead = max(ahead, offset)
	}
	if ahead == 0 {
		return nil
	}
	return []evidence.Fault{{Nemesis: "clock", Target: fmt.Sprintf("clock %+.1f s", ahead.Seconds()), Begin: -time.Hour, End: took + time.Hour, Effect: "by the plan"}}
}

// broken are the verdicts that did not hold.
func broken(all []evidence.Verdict) (out []evidence.Verdict) {
	for _, v := range all {
		if !v.Held() {
			out = append(out, v)
		}
	}
	return out
}

// ticks checks that every tick of a schedule has one job, and that the schedule has counted them so.
func ticks(book *ledger.Ledger) evidence.Verdict {
	one := evidence.Verdict{ID: "T2", Rule: "a schedule makes exactly one job for each tick"}
	v := book.Machine.View()
	defer v.Close()
	type tick struct {
		schedule string
		ms       int64
	}
	jobs := map[tick]fsm.JobID{}
	count := map[string]uint64{}
	var after fsm.JobID
	for {
		page, next, err := v.Jobs(fsm.JobFilter{}, after, 500)
		if err != nil {
			one.Violate(err.Error())
			return one
		}
		for _, j := range page {
			if j.Schedule == "" {
				continue
			}
			one.Count++
			at := tick{j.Schedule, j.TickMS}
			if was, ok := jobs[at]; ok {
				one.Violate(fmt.Sprintf("schedule %s has jobs %s and %s for the tick at %d", j.Schedule, was, j.ID, j.TickMS))
			}
			jobs[at] = j.ID
			count[j.Schedule]++
		}
		if after = next; after.IsZero() {
			break
		}
	}
	all, _, err := v.Schedules("default", "", 1000)
	if err != nil {
		one.Violate(err.Error())
	}
	for _, s := range all {
		if s.Fired != count[s.Set.Name] || s.Missed+s.Skipped+s.Refused > 0 {
			one.Violate(fmt.Sprintf("schedule %s has fired %d ticks, and missed %d, skipped %d, refused %d; there are %d jobs", s.Set.Name, s.Fired, s.Missed, s.Skipped, s.Refused, count[s.Set.Name]))
		}
	}
	return one
}

// atOnce checks the limit on limited tasks at every position of the log.
func atOnce(book *ledger.Ledger) evidence.Verdict {
	limit := evidence.Verdict{ID: "T4", Rule: "no more tasks run at a time than their limit says"}
	runs := map[fsm.Fence]uint64{} // sessions by lease
	for _, entry := range book.Entries {
		if entry.Result == nil {
			continue
		}
		for i, c := range entry.Commands {
			if entry.Result.Answers[i].Refusal != nil {
				continue
			}
			switch k := c.Kind.(type) {
			case *fsmpb.Command_CompleteTask:
				delete(runs, fsm.FenceOf(k.CompleteTask.Fence))
			case *fsmpb.Command_FailTask:
				delete(runs, fsm.FenceOf(k.FailTask.Fence))
			case *fsmpb.Command_ReleaseTask:
				delete(runs, fsm.FenceOf(k.ReleaseTask.Fence))
			case *fsmpb.Command_CloseSession:
				maps.DeleteFunc(runs, func(_ fsm.Fence, session uint64) bool { return session == k.CloseSession.Session })
			}
		}
		for _, r := range entry.Result.Revokes {
			delete(runs, r.Fence)
		}
		for _, g := range entry.Result.Grants {
			if g.Kind != limitedTask {
				continue
			}
			limit.Count++
			if runs[g.Fence] = g.Session; len(runs) > limitedN {
				limit.Violate(fmt.Sprintf("index %d: %d tasks run with the lease of %s; the limit is %d", entry.Index, len(runs), g.Task, limitedN))
			}
		}
	}
	return limit
}

// uniques checks that jobs of unique keys that clients were told of are there. They have no key of their own, by
// which the checkers would find them.
func uniques(e *evidence.Evidence) evidence.Verdict {
	there := evidence.Verdict{ID: "S1", Rule: "an acknowledged submission with a unique key leads to a job that is there"}
	v := e.Ledger.Machine.View()
	defer v.Close()
	for _, op := range e.Ops {
		if op.Kind != "unique" || op.Outcome != history.OK {
			continue
		}
		there.Count++
		id, err := fsm.ParseJobID(op.Value)
		if err == nil {
			_, _, err = v.JobHead(id)
		}
		if err != nil {
			there.Violate(fmt.Sprintf("job %s, acknowledged at %v: %v", op.Value, op.End, err))
		}
	}
	return there
}

// runningJob names a job that has not ended.
func runningJob(m *fsm.Machine) string {
	v := m.View()
	defer v.Close()
	jobs, _, err := v.Jobs(fsm.JobFilter{State: fsm.JobRunning}, fsm.JobID{}, 1)
	switch {
	case err != nil:
		return err.Error()
	case len(jobs) == 0:
		return ""
	}
	return fmt.Sprintf("job %s of key %q runs: %+v", jobs[0].ID, jobs[0].Key, jobs[0].Steps)
}
