package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// oneStep is a graph of one task.
func oneStep(t testing.TB, o dag.Options) *dag.Graph {
	t.Helper()
	b := dag.NewBuilder("one")
	b.Output(b.Task("s", dag.Step{Task: "t", Input: dag.Input(), Options: o}))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// attemptText lists the attempts of a job, a page of n at a time.
func (h *harness) attemptText(id JobID, n int) string {
	h.t.Helper()
	v := h.m.View()
	defer v.Close()
	var b strings.Builder
	var after AttemptToken
	for {
		all, next, err := v.Attempts(id, AttemptFilter{}, after, n)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, a := range all {
			fmt.Fprintf(&b, "%s/%d #%d %s by %q of %d, %d ms", a.Step, a.Ref.Shard, a.Number, a.Why, a.Worker, a.Session, max(0, a.EndedMS-a.BeganMS))
			if a.Error != nil {
				fmt.Fprintf(&b, ": %s: %s", a.Error.Type, a.Error.Message)
			}
			b.WriteByte('\n')
		}
		if next.Ref.Job.IsZero() {
			return b.String()
		}
		after = next
	}
}

// TestAttempts_HowEachEndedIsKept goes through all ends of an attempt of one task.
func TestAttempts_HowEachEndedIsKept(t *testing.T) {
	h := newHarness(t)
	id := jobID("j")
	r := h.apply(openWorker("a", 1, "t"), submit("j", oneStep(t, dag.Options{Retry: dag.Retry{FirstMS: 100, JitterPercent: -1}}), `1`))
	h.now += 7
	h.apply(failure(r.Grants[0], "boom", false))
	h.now += 100
	h.apply()
	h.apply(closeWorker(1, true))
	r = h.apply(openWorker("b", 1, "t"))
	r = h.apply(release(r.Grants[0]))
	h.now += 5
	h.apply(complete(r.Grants[0], `2`))
	want := `s/0 #1 ERROR by "a" of 1, 7 ms: test: boom
s/0 #2 WORKER_LOST by "a" of 1, 0 ms: fanfold.WorkerLost: the worker "a" was lost
s/0 #2 RELEASED by "b" of 2, 0 ms
s/0 #2 SUCCESS by "b" of 2, 5 ms
`
	for _, page := range []int{1, 2, 100} {
		if got := h.attemptText(id, page); got != want {
			t.Errorf("pages of %d:\n%swant\n%s", page, got, want)
		}
	}
	h.replay(3)
	h.apply(purge(id))
	if n := h.count(tagData); n != 0 {
		t.Errorf("%d keys are left of a purged job", n)
	}
}

// count counts the keys with a tag.
func (h *harness) count(tag byte) (n int) {
	h.m.disk.scan([]byte{tag}, []byte{tag + 1}, func(_, _ []byte) bool { n++; return true })
	return n
}

// TestAttempts_AreBounded: the first attempt and the last 31 are kept of a hundred, and purged whole.
func TestAttempts_AreBounded(t *testing.T) {
	h := newHarness(t)
	id := jobID("j")
	r := h.apply(openWorker("a", 1, "t"), submit("j", oneStep(t, dag.Options{Retry: dag.Retry{MaxAttempts: 100, FirstMS: 1, CapMS: 1, JitterPercent: -1}}), `1`))
	for n := range 100 {
		h.apply(failure(r.Grants[0], fmt.Sprint("no ", n+1), false))
		h.now++
		r = h.apply()
	}
	lines := strings.Split(strings.TrimSpace(h.attemptText(id, 10)), "\n")
	if len(lines) != attemptsKept || !strings.HasSuffix(lines[0], "no 1") || !strings.HasSuffix(lines[1], "no 70") || !strings.HasSuffix(lines[31], "no 100") {
		t.Errorf("%d attempts:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	if e := h.job(id).Error; e == nil || e.Err.Message != "no 100" {
		t.Errorf("the job's error is %v", e)
	}
	h.apply(purge(id))
	if n := h.count(tagData); n != 0 {
		t.Errorf("%d keys are left of a purged job", n)
	}
}

// TestAttempts_ItemsOfAMap: items keep theirs after their records are gone, and the running one is listed.
func TestAttempts_ItemsOfAMap(t *testing.T) {
	h := newHarness(t)
	id := jobID("j")
	b := dag.NewBuilder("map")
	b.Output(b.Map("m", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Retry: dag.Retry{FirstMS: 1}}}))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	r := h.apply(openWorker("a", 2, "t"), submit("j", g, `[1,2]`))
	h.apply(failure(r.Grants[0], "boom", false), complete(r.Grants[1], `2`))
	h.now++
	h.apply()
	want := `m/0 #1 ERROR by "a" of 1, 0 ms: test: boom
m/0 #2  by "a" of 1, 0 ms
m/1 #1 SUCCESS by "a" of 1, 0 ms
`
	for _, page := range []int{1, 2, 100} {
		if got := h.attemptText(id, page); got != want {
			t.Errorf("pages of %d:\n%swant\n%s", page, got, want)
		}
	}
	v := h.m.View()
	defer v.Close()
	shard := uint64(1)
	if all, _, err := v.Attempts(id, AttemptFilter{Step: "m", Shard: &shard}, AttemptToken{}, 10); err != nil || len(all) != 1 || all[0].Why != EndSuccess {
		t.Errorf("attempts of item 1: %v, %v", all, err)
	}
	if _, _, err := v.Attempts(id, AttemptFilter{Step: "none"}, AttemptToken{}, 10); err != ErrNotFound {
		t.Errorf("attempts of an unknown step: %v", err)
	}
}

// TestAttempts_ReportedAgain: an error that is reported twice is kept once.
func TestAttempts_ReportedAgain(t *testing.T) {
	h := newHarness(t)
	r := h.apply(openWorker("a", 1, "t"), submit("j", oneStep(t, dag.Options{}), `1`))
	h.apply(failure(r.Grants[0], "boom", false), failure(r.Grants[0], "boom", false))
	if got := h.attemptText(jobID("j"), 10); strings.Count(got, "\n") != 1 {
		t.Errorf("kept:\n%s", got)
	}
}

// TestAttempts_AJobOutOfTimeSaysSo: the attempt that it cut short carries the reason, and there is no other row.
func TestAttempts_AJobOutOfTimeSaysSo(t *testing.T) {
	h := newHarness(t)
	id := jobID("j")
	r := h.apply(openWorker("a", 1, "t"), withOptions(submit("j", oneStep(t, dag.Options{}), `1`), &fsmpb.JobOptions{TimeoutMs: 500}))
	g := r.Grants[0]
	h.now += 500
	r = h.apply()
	const why = "the job ran for 500ms, its limit; step s was not done"
	if len(r.Revokes) != 1 || r.Revokes[0].Reason != why {
		t.Errorf("the worker is told %+v", r.Revokes)
	}
	if got, want := h.attemptText(id, 10), "s/0 #1 CANCELED by \"a\" of 1, 500 ms: fanfold.Timeout: "+why+"\n"; got != want {
		t.Errorf("attempts:\n%swant\n%s", got, want)
	}
	j := h.job(id)
	if j.State != JobFailure || j.CancelReason != "" || j.Error == nil || j.Error.Err.GetMessage() != why {
		t.Errorf("the job is %+v", j)
	}
	v := h.m.View()
	defer v.Close()
	e, err := v.Explain(id, "", nil)
	if err != nil || len(e.Reasons) == 0 || !strings.HasSuffix(e.Reasons[0].Text, why) {
		t.Errorf("explained as %+v, %v", e.Reasons, err)
	}
	if a := h.apply(save(g, 0, "", 1, `1`)).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeCanceled || !strings.Contains(a.Refusal.Message, why) {
		t.Errorf("a late checkpoint is answered %+v", a)
	}
	h.apply(retry(id))
	if j := h.job(id); j.State != JobRunning {
		t.Errorf("retried, it is %v", j.State)
	}
	h.replay(3)
}

// TestSaveTask_AfterATimeLimitNamesIt: nobody has canceled the job.
func TestSaveTask_AfterATimeLimitNamesIt(t *testing.T) {
	h := newHarness(t)
	r := h.apply(openWorker("a", 1, "t"), submit("j", oneStep(t, dag.Options{HardTimeoutMS: 100}), `1`))
	h.now += 100
	h.apply()
	a := h.apply(save(r.Grants[0], 0, "", 1, `1`)).Answers[0]
	if a.Refusal == nil || a.Refusal.Code != CodeStale || !strings.Contains(a.Refusal.Message, "out of time") {
		t.Errorf("a checkpoint after the hard limit is answered %+v", a)
	}
}

// TestAttempts_EachRetryOfTheJobIsARound: numbers count from 1 in each.
func TestAttempts_EachRetryOfTheJobIsARound(t *testing.T) {
	h := newHarness(t)
	id := jobID("j")
	h.apply(openWorker("a", 1, "t"))
	g := h.apply(submit("j", oneStep(t, dag.Options{}), `1`)).Grants[0]
	h.apply(failure(g, "no", true))
	g = h.apply(retry(id)).Grants[0]
	h.apply(failure(g, "no", true))
	g = h.apply(retry(id)).Grants[0]
	rounds := func() (got []string) {
		v := h.m.View()
		defer v.Close()
		all, _, err := v.Attempts(id, AttemptFilter{}, AttemptToken{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			got = append(got, fmt.Sprintf("%d.%d %s", a.Round, a.Number, a.Why))
		}
		return got
	}
	if got, want := strings.Join(rounds(), ", "), "1.1 ERROR, 2.1 ERROR, 3.1 "; got != want {
		t.Errorf("attempts %q, want %q", got, want)
	}
	h.apply(complete(g, `2`))
	if got, want := strings.Join(rounds(), ", "), "1.1 ERROR, 2.1 ERROR, 3.1 SUCCESS"; got != want {
		t.Errorf("attempts %q, want %q", got, want)
	}
}
