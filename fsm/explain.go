package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Why says what a task waits for, or what became of it. The codes are part of the API: append only.
type Why string

const (
	WhyJobEnded    Why = "JOB_ENDED"    // and the task with it
	WhyDone        Why = "DONE"         // it has succeeded
	WhyDead        Why = "DEAD"         // its attempts or crashes are used up
	WhyCanceled    Why = "CANCELED"     //
	WhySkipped     Why = "SKIPPED"      //
	WhyExpired     Why = "EXPIRED"      //
	WhyJobPaused   Why = "JOB_PAUSED"   //
	WhyScheduled   Why = "SCHEDULED"    // the job is not due
	WhyBlocked     Why = "BLOCKED"      // steps before it are not done
	WhyRetry       Why = "RETRY"        // an attempt failed, and the next is not due
	WhyQueuePaused Why = "QUEUE_PAUSED" //
	WhyRateLimited Why = "RATE_LIMITED" // a handler has paused the task's kind in its partition
	WhyLimitFull   Why = "LIMIT_FULL"   //
	WhyNoWorker    Why = "NO_WORKER"    // no live worker offers its kind in its queue
	WhyNoFreeSlot  Why = "NO_FREE_SLOT" // all of those that do are busy
	WhyInLine      Why = "IN_LINE"      // it waits for its turn and for nothing else
	WhyParallel    Why = "PARALLEL"     // as many items of its step are live as may be
	WhyNotMade     Why = "NOT_MADE"     // items before it in its list come first
	WhyChildren    Why = "CHILDREN"     // a fold's node whose values are not all there
	WhyRunning     Why = "RUNNING"      //
	WhyKeepLatest  Why = "KEEP_LATEST"  // another job of its key runs, and has to end first
	WhyDebounce    Why = "DEBOUNCE"     // it starts when no other submission of its key has come for a while
)

// Reason is one answer to why a task is not done.
type Reason struct {
	Why      Why
	Text     string // a sentence
	UntilMS  int64  // when it ends by itself, unix ms; 0 = not known
	SinceMS  int64  // WhyRunning: since when, by the log
	Queue    string
	Limit    *fsmpb.Limit // WhyLimitFull
	Position uint64       // of the task in its line, from 1; 0 = not known
	Worker   string       // WhyRunning
	Session  uint64       // WhyRunning
	Fence    Fence        // WhyRunning
	Steps    []string     // WhyBlocked: which are not done
	Job      JobID        // WhyKeepLatest: the one to wait for
}

// Explanation says why a task is not done.
type Explanation struct {
	JobState JobState
	Step     string
	Shard    uint64
	State    TaskState // of the task; of the step, when it has no such task (now)
	Reasons  []Reason  // the most telling first; never empty
}

// Explain says why a task is not done. step "" is the first step of the job that moves, or waits; shard nil
// is the step as a whole. It decides nothing: it reads what match and the timers go by. ErrNotFound: there
// is no such job, step or item.
func (v *View) Explain(id JobID, step string, shard *uint64) (e Explanation, err error) {
	defer catch(&err)
	j := readJob(v.disk, id)
	if j == nil {
		return e, ErrNotFound
	}
	j.plan = v.plan(j)
	i := v.telling(j)
	if step != "" {
		n, ok := j.plan.graph.Lookup(step)
		if !ok {
			return e, ErrNotFound
		}
		i = uint32(n)
	}
	x := &explainer{v: v, j: j, step: i, sp: &j.plan.steps[i]}
	x.e = Explanation{JobState: j.state, Step: x.sp.step.Name, State: j.steps[i].state}
	if j.state.Ended() {
		x.jobEnded()
	}
	if j.state == JobPaused {
		x.add(Reason{Why: WhyJobPaused, Text: "the job is paused"})
	}
	switch {
	case x.sp.plain() && shard != nil && *shard != 0:
		return e, ErrNotFound
	case x.sp.plain():
		x.task(j.ref(i), &j.steps[i].task)
	case shard == nil:
		x.group()
	default:
		err = x.shard(*shard)
	}
	return x.e, err
}

// telling is the step of a job that says most about it: one that moves before one that waits in line,
// and that before one that waits for others. A fold that has begun with its map and has nothing to fold waits too.
func (v *View) telling(j *job) (best uint32) {
	rank := func(i uint32) int {
		order := []TaskState{TaskDead, TaskRetry, TaskPending, TaskStarted, TaskScheduled, TaskBlocked, TaskExpired, TaskCanceled, TaskSkipped, TaskSuccess}
		s := j.steps[i].state
		if s == TaskPending && j.steps[i].waiting > 0 {
			s = TaskBlocked
		}
		return slices.Index(order, s)
	}
	for i := range j.steps {
		if rank(uint32(i)) < rank(best) {
			best = uint32(i)
		}
	}
	return best
}

// explainer collects the reasons of one task.
type explainer struct {
	v    *View
	j    *job
	step uint32
	sp   *stepPlan
	e    Explanation
}

func (x *explainer) add(r Reason) { x.e.Reasons = append(x.e.Reasons, r) }

func (x *explainer) jobEnded() {
	text := "the job ended as " + x.j.state.String()
	switch {
	case x.j.failed:
		text += ": " + x.j.endReason(x.j.plan.graph)
	case x.j.reason != "":
		text += ": " + x.j.reason
	}
	x.add(Reason{Why: WhyJobEnded, Text: text, SinceMS: x.j.finishedMS})
}

// task explains a task that has a record.
func (x *explainer) task(ref TaskRef, tk *task) {
	x.e.State, x.e.Shard = tk.state, ref.Shard
	switch tk.state {
	case TaskBlocked:
		x.blocked()
	case TaskScheduled:
		x.scheduled(tk.due)
	case TaskPending:
		x.pending(ref)
	case TaskStarted:
		x.running(ref, tk)
	case TaskRetry:
		x.retry(ref, tk)
	case TaskSuccess:
		x.add(Reason{Why: WhyDone, Text: "it has succeeded"})
	case TaskDead:
		x.add(Reason{Why: WhyDead, Text: fmt.Sprintf("it is dead after %d attempts and %d lost workers%s", tk.attempts, tk.crashes, x.lastError(ref))})
	case TaskCanceled:
		x.add(Reason{Why: WhyCanceled, Text: "it was canceled" + because(x.j.endReason(x.j.plan.graph))})
	case TaskSkipped:
		x.add(Reason{Why: WhySkipped, Text: "it was skipped: its job ended before it could begin"})
	case TaskExpired:
		x.add(Reason{Why: WhyExpired, Text: "it had to begin by a time, and did not"})
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (x *explainer) lastError(ref TaskRef) string {
	e := x.v.taskError(x.j.plan.graph, ref)
	if e == nil {
		return ""
	}
	return ": " + e.Err.GetMessage()
}

// blocked names the steps that are not done.
func (x *explainer) blocked() {
	var names, texts []string
	for _, d := range x.j.plan.graph.Dependencies(dag.StepID(x.step)) {
		if s := x.j.steps[d].state; s != TaskSuccess {
			name := x.j.plan.graph.Step(d).Name
			names = append(names, name)
			texts = append(texts, name+" ("+s.String()+")")
		}
	}
	if len(names) > 0 {
		x.add(Reason{Why: WhyBlocked, Text: "it waits for " + strings.Join(texts, ", "), Steps: names})
	}
	if !x.j.state.Ended() {
		x.held()
	}
}

// scheduled says why a job has not begun: its time, or its unique key.
func (x *explainer) scheduled(due int64) {
	if !x.held() {
		x.add(Reason{Why: WhyScheduled, Text: "the job is not due yet", UntilMS: due})
	}
}

// held finds what holds the job as a whole back; false: nothing.
func (x *explainer) held() bool {
	u := x.v.unique(x.j, x.j.plan.graph.Name)
	waits := x.j.notBefore > x.v.NowMS()
	if u != nil && !u.WaitsFor.IsZero() {
		x.add(Reason{Why: WhyKeepLatest, Job: u.WaitsFor, Text: fmt.Sprintf(
			"of the key %q one job runs at a time: this one, the latest, begins when job %s has ended", u.Unique.Key, u.WaitsFor)})
		if waits {
			x.add(Reason{Why: WhyScheduled, Text: "the job is not due yet", UntilMS: x.j.notBefore})
		}
		return true
	}
	switch {
	case !waits:
		return false
	case u != nil && u.Unique.Mode == fsmpb.Unique_DEBOUNCE:
		x.add(Reason{Why: WhyDebounce, UntilMS: x.j.notBefore, Text: fmt.Sprintf(
			"it begins when no submission of the key %q has come for %d ms", u.Unique.Key, u.Unique.PeriodMs)})
	default:
		x.add(Reason{Why: WhyScheduled, Text: "the job is not due yet", UntilMS: x.j.notBefore})
	}
	return true
}

func (x *explainer) retry(ref TaskRef, tk *task) {
	text := fmt.Sprintf("attempt %d of %d did not succeed%s; the next waits for its time", tk.attempts, x.sp.retry.MaxAttempts, x.lastError(ref))
	if tk.attempts == 0 {
		text = "it has put itself off"
	}
	x.add(Reason{Why: WhyRetry, Text: text, UntilMS: tk.due})
}

func (x *explainer) running(ref TaskRef, tk *task) {
	r := Reason{Why: WhyRunning, Session: tk.session, Fence: tk.fence, Worker: x.v.worker(tk.session), Queue: x.sp.opts.Queue}
	r.Text = fmt.Sprintf("attempt %d runs on worker %s", tk.attempts+1, r.Worker)
	if b := x.v.disk.get(keyLease(tk.session, tk.fence)); b != nil {
		l := decodeLease(bytes.Clone(b))
		r.SinceMS, r.UntilMS = l.grantedMS, l.limitMS
	}
	x.add(r)
}
