package fsm

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// with adds options to a submission.
func with(c *fsmpb.Command, o *fsmpb.JobOptions) *fsmpb.Command {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(o)
	must(err)
	c.GetSubmitJob().Options = b
	return c
}

func unique(c *fsmpb.Command, u *fsmpb.Unique) *fsmpb.Command {
	return with(c, &fsmpb.JobOptions{Unique: u})
}

func (h *harness) state(name string) JobState {
	h.t.Helper()
	return h.job(jobID(name)).State
}

// answer applies one command and returns its answer.
func (h *harness) answer(c *fsmpb.Command) Answer {
	h.t.Helper()
	return h.apply(c).Answers[0]
}

func (h *harness) refused(c *fsmpb.Command, code Code) {
	h.t.Helper()
	if a := h.answer(c); a.Refusal == nil || a.Refusal.Code != code {
		h.t.Fatalf("answered %+v, want %s", a, code)
	}
}

func (h *harness) existing(c *fsmpb.Command, job string) {
	h.t.Helper()
	if a := h.answer(c); !a.Existing || a.Job != jobID(job) {
		h.t.Fatalf("answered %+v, want the existing job %s", a, job)
	}
}

func (h *harness) created(c *fsmpb.Command) *Result {
	h.t.Helper()
	r := h.apply(c)
	if a := r.Answers[0]; a.Existing || a.Refusal != nil {
		h.t.Fatalf("answered %+v, want a new job", a)
	}
	return r
}

// TestUnique_FreeInTheEntryThatEndsTheHolder: however it ends, and a submission in the very same entry is
// a new job. (Pains 12 and 23: a dead job, or a lost lock, blocks the key for ever.)
func TestUnique_FreeInTheEntryThatEndsTheHolder(t *testing.T) {
	u := &fsmpb.Unique{Key: "k"}
	for name, end := range map[string]func(Grant) *fsmpb.Command{
		"success":  func(g Grant) *fsmpb.Command { return complete(g, `1`) },
		"failure":  func(g Grant) *fsmpb.Command { return failure(g, "dead", true) },
		"canceled": func(g Grant) *fsmpb.Command { return cancel(g.Task.Job) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.apply(openWorker("w", 2, "t"))
			g := h.created(unique(submit("a", chain(t, 1), `1`), u)).Grants[0]
			h.existing(unique(submit("b", chain(t, 1), `2`), u), "a")
			h.refused(unique(submit("b", chain(t, 1), `2`), &fsmpb.Unique{Key: "k", OnConflict: fsmpb.Unique_REJECT}), CodeExists)
			r := h.apply(end(g), unique(submit("c", chain(t, 1), `3`), u))
			if a := r.Answers[1]; a.Existing || a.Refusal != nil {
				t.Fatalf("the key was not free: %+v", a)
			}
			h.existing(unique(submit("d", chain(t, 1), `1`), u), "c")
			h.replay(1)
		})
	}
}

func TestUnique_ALostWorkerKeepsTheKey(t *testing.T) {
	h := newHarness(t)
	s := h.apply(openWorker("w", 1, "t")).Answers[0].Session
	u := &fsmpb.Unique{Key: "k"}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	h.apply(closeWorker(s, true))
	h.existing(unique(submit("b", chain(t, 1), `1`), u), "a")
}

func TestUnique_KeysOfOtherWorkflowsAndModesDoNotMeet(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k"}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	h.created(unique(submit("b", mapFold(t, 2, dag.Options{}), `[1]`), u))
	h.created(unique(submit("c", chain(t, 1), `1`), &fsmpb.Unique{Key: "k", Derived: true}))
	h.created(unique(submit("d", chain(t, 1), `1`), &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_KEEP_LATEST}))
}

func TestUnique_ReplaceCancelsTheHolder(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t"))
	u := &fsmpb.Unique{Key: "k", OnConflict: fsmpb.Unique_REPLACE}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	r := h.created(unique(submit("b", chain(t, 1), `2`), u))
	if h.state("a") != JobCanceled || len(r.Revokes) != 1 || !strings.Contains(h.job(jobID("a")).CancelReason, jobID("b").String()) {
		t.Fatalf("a is %s (%s), revoked %d", h.state("a"), h.job(jobID("a")).CancelReason, len(r.Revokes))
	}
	h.existing(unique(submit("c", chain(t, 1), `2`), &fsmpb.Unique{Key: "k"}), "b")
	// A repetition of the first submission brings nothing back.
	h.existing(unique(submit("a", chain(t, 1), `1`), u), "a")
	if h.state("b") != JobRunning {
		t.Fatal("b was replaced by a repetition of a")
	}
}

func TestUnique_UntilStart(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", Scope: fsmpb.Unique_UNTIL_START}
	h.created(unique(submit("a", chain(t, 2), `1`), u))
	h.existing(unique(submit("b", chain(t, 2), `1`), u), "a")
	r := h.apply(openWorker("w", 1, "t")) // a starts
	c := submit("c", chain(t, 2), `1`)
	c.GetSubmitJob().NotBeforeMs = h.now + 1000
	h.created(unique(c, u))
	h.apply(complete(r.Grants[0], `1`)) // a's second task starts: c keeps the key
	h.existing(unique(submit("d", chain(t, 2), `1`), u), "c")
}

func TestUnique_PeriodFreesTheKeyAtTheLatest(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", PeriodMs: 1000}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	h.now += 999
	h.existing(unique(submit("b", chain(t, 1), `1`), u), "a")
	h.now++
	h.created(unique(submit("b", chain(t, 1), `1`), u))
	h.apply(cancel(jobID("a"))) // holds nothing any more
	h.existing(unique(submit("c", chain(t, 1), `1`), u), "b")
}

func TestRetryJob_TakesItsUniqueKeyAgainOrIsRefused(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k"}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	h.apply(cancel(jobID("a")))
	h.created(unique(submit("b", chain(t, 1), `1`), u))
	h.refused(retry(jobID("a")), CodeExists)
	h.apply(cancel(jobID("b")))
	if a := h.answer(retry(jobID("a"))); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	h.existing(unique(submit("c", chain(t, 1), `1`), u), "a")
	h.refused(retry(jobID("b")), CodeExists)
}

func TestThrottle_OneJobInAPeriodWhateverBecomesOfIt(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_THROTTLE, PeriodMs: 1000}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	h.apply(cancel(jobID("a")), purge(jobID("a")))
	h.now += 999
	h.existing(unique(submit("b", chain(t, 1), `2`), u), "a")
	u.OnConflict = fsmpb.Unique_REJECT
	h.refused(unique(submit("b", chain(t, 1), `2`), u), CodeExists)
	h.now++
	h.created(unique(submit("b", chain(t, 1), `2`), u))
}

func TestDebounce_TheLastInputAfterAPause(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 5, "t"))
	u := &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_DEBOUNCE, PeriodMs: 1000, MaxMs: 2500}
	h.created(unique(submit("a", chain(t, 1), `"first"`), u))
	for i := range 4 { // at 600, 1200, 1800, 2400: the last would be due at 3400, the maximum is 2500
		h.now += 600
		h.existing(unique(submit(fmt.Sprint("b", i), chain(t, 1), fmt.Sprint(i)), u), "a")
	}
	h.existing(unique(submit("b0", chain(t, 1), `0`), u), "a") // a repetition
	h.existing(unique(submit("a", chain(t, 1), `"first"`), u), "a")
	h.now += 99
	if r := h.apply(); len(r.Grants) != 0 {
		t.Fatal("it started too early")
	}
	h.now++
	r := h.apply()
	if len(r.Grants) != 1 || h.input(r.Grants[0]) != `3` {
		t.Fatalf("started %d with %s", len(r.Grants), h.input(r.Grants[0]))
	}
	h.created(unique(submit("c", chain(t, 1), `9`), u)) // the next wait begins
	h.replay(2)
}

func TestDebounce_AnotherGraphTakesThePlaceAndKeepsTheMaximum(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_DEBOUNCE, PeriodMs: 1000, MaxMs: 1500}
	c := submit("a", chain(t, 1), `1`)
	h.created(unique(c, u))
	h.now += 900
	d := submit("b", chain(t, 1), `2`)
	d.GetSubmitJob().RetainMs = 77
	r := h.created(unique(d, u))
	if h.state("a") != JobCanceled || r.NextDueMS != h.now+600 {
		t.Fatalf("a is %s, b due in %d", h.state("a"), r.NextDueMS-h.now)
	}
}

func TestDebounce_LargeInputsAreReplacedWhole(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_DEBOUNCE, PeriodMs: 1000}
	big := func(name string) *fsmpb.Command {
		cmds, v := upload(name, []byte(`"`+strings.Repeat(name, ChunkBytes)+`"`))
		h.apply(cmds...)
		c := submit(name, chain(t, 1), `1`)
		c.GetSubmitJob().Input = v
		return unique(c, u)
	}
	h.created(big("a"))
	h.existing(big("b"), "a")
	h.existing(unique(submit("c", chain(t, 1), `"small"`), u), "a")
	h.apply(openWorker("w", 1, "t"))
	h.now += 1000
	if got := h.input(h.apply().Grants[0]); got != `"small"` {
		t.Fatalf("the input is %.20s", got)
	}
	blobs := 0
	h.m.disk.scan([]byte{tagBlob}, []byte{tagChunk + 1}, func(_, _ []byte) bool { blobs++; return true })
	if blobs != 0 {
		t.Fatalf("%d keys of uploads are left", blobs)
	}
}

func TestKeepLatest_OneRunsAndTheLatestWaits(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_KEEP_LATEST}
	sub := func(name string) *fsmpb.Command { return unique(submit(name, chain(t, 1), `"`+name+`"`), u) }
	h.created(sub("a"))
	h.created(sub("b")) // a had not started
	if h.state("a") != JobCanceled {
		t.Fatalf("a is %s", h.state("a"))
	}
	r := h.apply(openWorker("w", 5, "t"))
	if len(r.Grants) != 1 || h.input(r.Grants[0]) != `"b"` {
		t.Fatalf("%d started", len(r.Grants))
	}
	if h.created(sub("c")); h.job(jobID("c")).Unique.WaitsFor != jobID("b") {
		t.Fatal("c does not wait for b")
	}
	if r := h.created(sub("d")); len(r.Grants) != 0 || h.state("c") != JobCanceled {
		t.Fatalf("two run, or c is %s", h.state("c"))
	}
	h.apply(failure(r.Grants[0], "again", false)) // a retry is no end
	if g := h.last.Grants; len(g) != 0 {
		t.Fatal("d started beside b")
	}
	h.reopen()
	h.now += 60_000
	b := h.apply().Grants[0]
	r = h.apply(complete(b, `1`))
	if len(r.Grants) != 1 || h.input(r.Grants[0]) != `"d"` {
		t.Fatalf("%d started after b", len(r.Grants))
	}
	h.apply(cancel(jobID("d")))
	h.created(sub("e"))
	h.replay(2)
}

func TestKeepLatest_TheOneThatWaitsMayBeCanceled(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_KEEP_LATEST}
	sub := func(name string) *fsmpb.Command { return unique(submit(name, chain(t, 1), `1`), u) }
	h.apply(openWorker("w", 5, "t"))
	g := h.created(sub("a")).Grants[0]
	h.created(sub("b"))
	h.apply(cancel(jobID("b")))
	h.refused(retry(jobID("b")), CodeExists)
	h.apply(complete(g, `1`))
	later := sub("c")
	later.GetSubmitJob().NotBeforeMs = h.now + 500
	h.apply(retry(jobID("b")))
	h.created(later)
	if r := h.apply(cancel(jobID("b"))); len(r.Grants) != 0 {
		t.Fatal("c started before its time")
	}
	h.now += 500
	if r := h.apply(); len(r.Grants) != 1 {
		t.Fatal("c did not start at its time")
	}
}

func TestUnique_NonsenseIsRefused(t *testing.T) {
	h := newHarness(t)
	for _, u := range []*fsmpb.Unique{
		{}, {Key: "a\nb"}, {Key: "k", Mode: 9}, {Key: "k", Scope: -1}, {Key: "k", OnConflict: 7}, {Key: "k", PeriodMs: -1},
		{Key: "k", Mode: fsmpb.Unique_THROTTLE}, {Key: "k", Mode: fsmpb.Unique_DEBOUNCE}, {Key: "k", MaxMs: 5},
		{Key: "k", Mode: fsmpb.Unique_KEEP_LATEST, PeriodMs: 5},
		{Key: "k", Mode: fsmpb.Unique_THROTTLE, PeriodMs: 5, OnConflict: fsmpb.Unique_REPLACE},
	} {
		h.refused(unique(submit("a", chain(t, 1), `1`), u), CodeInvalid)
	}
	c := submit("a", chain(t, 1), `1`)
	c.GetSubmitJob().NotBeforeMs = h.now + 5
	h.refused(unique(c, &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_DEBOUNCE, PeriodMs: 5}), CodeInvalid)
	if h.m.state.JobsSubmitted != 0 {
		t.Fatal("something was stored")
	}
}

// TestUserKey_RemembersADay: for 24 h from the submission, also when the job was purged before, and for as
// long as the job runs.
func TestUserKey_RemembersADay(t *testing.T) {
	h := newHarness(t)
	keyed := func(name, input string) *fsmpb.Command {
		c := submit(name, chain(t, 1), input)
		c.GetSubmitJob().Key = "order-7"
		return c
	}
	h.created(keyed("a", `1`))
	h.apply(cancel(jobID("a")), purge(jobID("a")))
	h.now += userKeyMS - 1
	h.existing(keyed("b", `1`), "a")
	h.refused(keyed("b", `2`), CodeConflict)
	h.now++
	h.created(keyed("b", `2`)) // a day later: as good as new
	h.now += 3 * userKeyMS     // b runs on
	h.existing(keyed("c", `2`), "b")
	h.reopen()
	h.apply(cancel(jobID("b")))
	h.created(keyed("c", `3`)) // b has ended, and its day is over
	h.replay(3)
}

func TestUserKey_OfASubmissionThatWasMerged(t *testing.T) {
	h := newHarness(t)
	u := &fsmpb.Unique{Key: "k"}
	h.created(unique(submit("a", chain(t, 1), `1`), u))
	c := unique(submit("b", chain(t, 1), `2`), u)
	c.GetSubmitJob().Key = "order-7"
	h.existing(c, "a")
	h.apply(cancel(jobID("a")))
	h.existing(c, "a") // the same answer for a day, though a has ended
	h.now += userKeyMS
	h.created(c)
}

// TestKeepLatest_TheTimeOfTheOneThatWaitsBeginsWithItsTurn: not while another job of its key runs.
func TestKeepLatest_TheTimeOfTheOneThatWaitsBeginsWithItsTurn(t *testing.T) {
	h := newHarness(t)
	o := &fsmpb.JobOptions{Unique: &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_KEEP_LATEST}, TimeoutMs: 1000}
	first := h.apply(openWorker("w", 1, "t"), withOptions(submit("a", oneStep(t, dag.Options{}), `1`), o)).Grants[0]
	h.now += 600
	h.apply(withOptions(submit("b", oneStep(t, dag.Options{}), `2`), o))
	h.now += 300
	if r := h.apply(complete(first, `1`)); len(r.Grants) != 1 {
		t.Fatalf("the latest is not granted: %+v", r)
	}
	h.now += 999 // 1,299 ms after it came
	h.apply()
	if s := h.job(jobID("b")).State; s != JobRunning {
		t.Fatalf("999 ms after its turn has come it is %v", s)
	}
	h.now++
	h.apply()
	if s := h.job(jobID("b")).State; s != JobFailure {
		t.Fatalf("1,000 ms after its turn has come it is %v", s)
	}
	h.replay(2)
}
