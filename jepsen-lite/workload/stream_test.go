package workload

import (
	"encoding/json"
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// pages adds a page of a job's log that a client was given.
func (h *told) page(client string, p page, index uint64) {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	at := len(*h)
	h.says(client, opFollow, "job", "", string(text), at, at+1, index)
}

func TestStream_FindsWhatIsForgedOfALog(t *testing.T) {
	four := []said{{"7 0", 10}, {"7 1", 10}, {"9 0", 20}, {"9 1", 30}}
	first := page{Next: 1, More: true, Lines: []string{"7 0", "7 1"}}
	for _, c := range []struct {
		name string
		log  []said
		ops  func(h *told)
		want bool
	}{
		{"all of it, from two nodes", four, func(h *told) {
			h.page("a", first, 15)
			h.page("a", page{After: 1, Next: 2, Lines: []string{"9 0"}}, 25)
			h.page("a", page{After: 2, Next: 3, Ended: true, Lines: []string{"9 1"}}, 40)
		}, true},
		{"a line is missing", four, func(h *told) {
			h.page("a", first, 15)
			h.page("a", page{After: 1, Next: 3, Lines: []string{"9 1"}}, 40)
		}, false},
		{"a line comes twice", four, func(h *told) {
			h.page("a", first, 15)
			h.page("a", page{After: 1, Next: 3, Lines: []string{"7 1", "9 0"}}, 40)
		}, false},
		{"lines are in another order", four, func(h *told) { h.page("a", page{Next: 1, Lines: []string{"7 1", "7 0"}}, 15) }, false},
		{"a line that is not there in the end", four[:2], func(h *told) {
			h.page("a", first, 15)
			h.page("a", page{After: 1, Next: 2, Lines: []string{"9 0"}}, 25)
		}, false},
		{"a line comes before its entry", four, func(h *told) { h.page("a", page{Next: 1, More: true, Lines: []string{"7 0", "7 1"}}, 9) }, false},
		{"a line that is there is held back", four, func(h *told) { h.page("a", page{Next: 1, Lines: []string{"7 0", "7 1"}}, 25) }, false},
		{"it ends too soon", four, func(h *told) { h.page("a", page{Next: 1, Ended: true, Lines: []string{"7 0", "7 1"}}, 40) }, false},
		{"the index goes back", four, func(h *told) { h.page("a", first, 25); h.page("a", page{After: 1, Next: 1, More: true}, 24) }, false},
		{"the cursor goes back", four, func(h *told) { h.page("a", first, 15); h.page("a", page{After: 1, Next: 0, More: true}, 15) }, false},
		{"the log has a line twice", []said{{"7 0", 10}, {"7 0", 10}}, func(h *told) { h.page("a", page{Next: 1, Lines: []string{"7 0", "7 0"}}, 15) }, false},
		{"the log has lines of an attempt in another order", []said{{"7 1", 10}, {"7 0", 10}}, func(h *told) { h.page("a", page{Next: 1, Lines: []string{"7 1", "7 0"}}, 15) }, false},
		{"the log has a line that nobody has brought", []said{{"7 0", 0}}, func(h *told) { h.page("a", page{Next: 1, Lines: []string{"7 0"}}, 15) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h told
			c.ops(&h)
			verdicts := judgeFollowers(h, map[string][]said{"job": c.log})
			if broken(verdicts, "C4") == c.want || verdicts[0].Count == 0 {
				t.Errorf("want held: %t; %+v", c.want, verdicts)
			}
		})
	}
}

func TestStream_FindsWhatIsForgedOfAStatus(t *testing.T) {
	log := map[string][]version{"job": {{index: 10, value: "RUNNING STARTED(10.0) -"}, {index: 20, value: "RUNNING SUCCESS STARTED(20.1)"}, {index: 30, value: "SUCCESS SUCCESS SUCCESS"}}}
	for _, c := range []struct {
		name string
		ops  func(h *told)
		want bool
	}{
		{"two streams", func(h *told) {
			h.says("a", opWatch, "job", "0", "RUNNING STARTED(10.0) -", 0, 1, 15)
			h.says("a", opWatch, "job", "0", "RUNNING STARTED(10.0) -", 2, 3, 15)
			h.says("a", opWatch, "job", "1", "SUCCESS SUCCESS SUCCESS", 4, 5, 30)
		}, true},
		{"it goes back", func(h *told) {
			h.says("a", opWatch, "job", "0", "RUNNING SUCCESS STARTED(20.1)", 0, 1, 25)
			h.says("a", opWatch, "job", "0", "RUNNING STARTED(10.0) -", 2, 3, 15)
		}, false},
		{"it comes twice in a stream", func(h *told) {
			h.says("a", opWatch, "job", "0", "RUNNING STARTED(10.0) -", 0, 1, 15)
			h.says("a", opWatch, "job", "1", "RUNNING STARTED(10.0) -", 2, 3, 15)
		}, false},
		{"another lease than the log's", func(h *told) { h.says("a", opWatch, "job", "0", "RUNNING STARTED(9.0) -", 0, 1, 15) }, false},
		{"an end that is not in the log yet", func(h *told) { h.says("a", opWatch, "job", "0", "SUCCESS SUCCESS SUCCESS", 0, 1, 29) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h told
			c.ops(&h)
			if v := judgeWatchers(h, log); v.Held() != c.want || v.Count == 0 {
				t.Errorf("want held: %t; %+v", c.want, v)
			}
		})
	}
}

// TestStream_StatusesOfALog holds the fold against a log in which a worker is lost, an attempt fails, and the job ends.
func TestStream_StatusesOfALog(t *testing.T) {
	b := dag.NewBuilder("two")
	b.Output(b.Task("second", dag.Step{Task: "b", Input: b.Task("first", dag.Step{Task: "a", Input: dag.Input()})}))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	id := fsm.JobID{1}
	first, second := fsm.TaskRef{Job: id}, fsm.TaskRef{Job: id, Step: 1}
	var log []ledger.Entry
	entry := func(c *fsmpb.Command, r fsm.Result) {
		r.Answers = []fsm.Answer{{Job: id}}
		log = append(log, ledger.Entry{Index: uint64(len(log) + 1), Commands: []*fsmpb.Command{c}, Result: &r})
	}
	grant := func(ref fsm.TaskRef, session uint64) fsm.Result {
		return fsm.Result{Grants: []fsm.Grant{{Task: ref, Session: session, Fence: fsm.Fence{Index: uint64(len(log) + 1)}}}}
	}
	fence := func(index uint64) *fsmpb.Fence { return fsm.Fence{Index: index}.Proto() }
	entry(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id[:], Graph: dag.Encode(g)}}}, grant(first, 1))
	entry(&fsmpb.Command{Kind: &fsmpb.Command_CloseSession{CloseSession: &fsmpb.CloseSession{Session: 1}}}, fsm.Result{})
	entry(&fsmpb.Command{}, grant(first, 2))
	entry(&fsmpb.Command{Kind: &fsmpb.Command_CompleteTask{CompleteTask: &fsmpb.CompleteTask{Task: first.Proto(), Fence: fence(3)}}}, grant(second, 2))
	entry(&fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: &fsmpb.FailTask{Task: second.Proto(), Fence: fence(4)}}}, fsm.Result{})
	entry(&fsmpb.Command{}, grant(second, 2))
	entry(&fsmpb.Command{Kind: &fsmpb.Command_CompleteTask{CompleteTask: &fsmpb.CompleteTask{Task: second.Proto(), Fence: fence(6)}}}, fsm.Result{Finished: []fsm.Finished{{Job: id, State: fsm.JobSuccess}}})
	all := statuses(log)[id.String()]
	for i, want := range []string{
		absent, "RUNNING STARTED(1.0) -", "RUNNING - -", "RUNNING STARTED(3.0) -", "RUNNING SUCCESS STARTED(4.0)", "RUNNING SUCCESS -", "RUNNING SUCCESS STARTED(6.0)", "SUCCESS SUCCESS SUCCESS",
	} {
		if got := valueAt(all, uint64(i)); got != want {
			t.Errorf("at index %d: %s, want %s", i, got, want)
		}
	}
}
