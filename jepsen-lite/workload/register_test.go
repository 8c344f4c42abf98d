package workload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// told is a history that no cluster has caused.
type told []history.Op

// says adds an operation of a client from begin to end, in milliseconds, with its answer, which holds at index.
func (h *told) says(client, kind, key, value, answer string, begin, end int, index uint64) {
	*h = append(*h, history.Op{
		Client: client, Kind: kind, Key: key, Value: value, Answer: answer, Node: "n1", Index: index, Outcome: history.OK,
		Begin: time.Duration(begin) * time.Millisecond, End: time.Duration(end) * time.Millisecond,
	})
}

// breaks makes the last operation end without an answer.
func (h *told) breaks(o history.Outcome, answer string) {
	last := &(*h)[len(*h)-1]
	last.Outcome, last.Answer, last.Index = o, answer, 0
}

func writes(tokens ...string) map[string][]version {
	log := map[string][]version{}
	for i, token := range tokens {
		log["queue/q"] = append(log["queue/q"], version{index: uint64(10 * (i + 1)), kind: opWrite, token: token, value: token})
	}
	return log
}

func TestRegister_FindsWhatIsForged(t *testing.T) {
	const job, queue = "01JOB", "queue/q"
	canceledBy7 := []version{{10, opCreate, "", running}, {20, opCancel, "7", "CANCELED:7"}}
	for _, c := range []struct {
		name, id string
		log      map[string][]version
		ops      func(h *told)
	}{
		{"a read does not see what was written before it", "C1", writes("1", "2"), func(h *told) {
			h.says("a", opWrite, queue, "1", "1", 0, 1, 10)
			h.says("a", opWrite, queue, "2", "2", 2, 3, 20)
			h.says("b", opRead, queue, "", "1", 4, 5, 20)
		}},
		{"a read goes back behind another", "C1", writes("1", "2"), func(h *told) {
			h.says("a", opWrite, queue, "1", "1", 0, 1, 10)
			h.says("a", opWrite, queue, "2", "2", 2, 9, 20)
			h.says("b", opRead, queue, "", "2", 3, 4, 20)
			h.says("c", opRead, queue, "", "1", 5, 6, 20)
		}},
		{"an answer is behind what another client had heard", "C1", writes("1"), func(h *told) {
			h.says("a", opWrite, queue, "1", "1", 0, 1, 10)
			h.says("b", opRead, queue, "", "1", 2, 3, 30)
			h.says("c", opRead, queue, "", "1", 4, 5, 20)
		}},
		{"a client goes back", "C2", writes("1"), func(h *told) {
			h.says("a", opRead, queue, "", "1", 2, 3, 30)
			h.says("a", opRead, queue, "", "1", 4, 5, 20)
		}},
		{"a write that was acknowledged is not there", "C3", nil, func(h *told) { h.says("a", opWrite, queue, "1", "1", 0, 1, 10) }},
		{"a retry that was acknowledged is not there", "C3", map[string][]version{job: canceledBy7}, func(h *told) { h.says("a", opRetry, job, "", running, 0, 1, 30) }},
		{"a retry wins over a job that runs", "C1", map[string][]version{job: {{10, opCreate, "", running}, {20, opRetry, "", running}}}, func(h *told) {
			h.says("a", opCreate, job, "", created, 0, 1, 10)
			h.says("a", opRetry, job, "", running, 2, 3, 20)
		}},
		{"a canceled job runs", "C1", map[string][]version{job: canceledBy7}, func(h *told) {
			h.says("a", opCreate, job, "", created, 0, 1, 10)
			h.says("a", opCancel, job, "7", canceled, 2, 3, 20)
			h.says("b", opRead, job, "", running, 4, 5, 20)
		}},
		{"a stale answer is not what the log says at its index", "C3", writes("1", "2"), func(h *told) { h.says("a", opStale, queue, "", "2", 0, 1, 15) }},
		{"a stale answer does not say its index", "C3", writes("1"), func(h *told) { h.says("a", opStale, queue, "", "1", 0, 1, 0) }},
		{"a refused write happened", "S6", writes("1"), func(h *told) {
			h.says("a", opWrite, queue, "1", "", 0, 1, 0)
			h.breaks(history.Fail, "")
		}},
		{"an unknown write is seen before it was asked for", "C1", writes("1"), func(h *told) {
			h.says("b", opRead, queue, "", "1", 0, 1, 10)
			h.says("a", opWrite, queue, "1", "", 2, 3, 0)
			h.breaks(history.Unknown, "")
		}},
		{"an unknown write that is not in the log is seen", "C1", nil, func(h *told) {
			h.says("a", opWrite, queue, "1", "", 0, 1, 0)
			h.breaks(history.Unknown, "")
			h.says("b", opRead, queue, "", "1", 2, 3, 10)
		}},
		{"an unknown write happens after it was seen in the log", "C1", writes("1", "2"), func(h *told) {
			h.says("a", opWrite, queue, "1", "", 0, 1, 0)
			h.breaks(history.Unknown, "") // it is at 10, and so has happened by 2 ms
			h.says("b", opWrite, "queue/other", "9", "9", 1, 2, 11)
			h.says("b", opWrite, queue, "2", "2", 3, 4, 20)
			h.says("c", opRead, queue, "", "1", 5, 6, 20)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h told
			c.ops(&h)
			dir := t.TempDir()
			verdicts := judgeRegister(h, c.log, dir)
			if !broken(verdicts, c.id) {
				t.Errorf("nothing is said against %s: %+v", c.id, verdicts)
			}
		})
	}
}

func broken(verdicts []evidence.Verdict, id string) bool {
	for i := range verdicts {
		if verdicts[i].ID == id && !verdicts[i].Held() {
			return true
		}
	}
	return false
}

// TestRegister_AcceptsWhatMayBe is a history in which all that is allowed happens: calls that overlap, changes that
// nobody heard of, which happened late or never, refusals that say what there was.
func TestRegister_AcceptsWhatMayBe(t *testing.T) {
	const job, queue = "01JOB", "queue/q"
	var h told
	h.says("a", opRead, job, "", absent, 0, 1, 0)
	h.says("a", opCancel, job, "1", "", 2, 3, 0)
	h.breaks(history.Fail, notFound)
	h.says("a", opCreate, job, "", "", 4, 5, 0)
	h.breaks(history.Unknown, "") // it happened at 10
	h.says("b", opCreate, job, "", existing, 6, 7, 12)
	h.says("b", opRetry, job, "", "", 8, 9, 0)
	h.breaks(history.Fail, notEnded)
	h.says("b", opCancel, job, "7", "", 10, 11, 0)
	h.breaks(history.Unknown, "") // it happens at 20
	h.says("c", opRead, job, "", running, 10, 12, 15)
	h.says("c", opRead, job, "", "CANCELED:7", 13, 14, 21)
	h.says("c", opRetry, job, "", "", 15, 16, 0)
	h.breaks(history.Unknown, "") // one of the two happens at 30
	h.says("d", opRetry, job, "", "", 17, 18, 0)
	h.breaks(history.Unknown, "")
	h.says("c", opRead, job, "", running, 19, 20, 31)
	h.says("c", opStale, job, "", "CANCELED:7", 21, 22, 22)
	h.says("a", opWrite, queue, "1", "", 0, 1, 0)
	h.breaks(history.Unknown, "") // never
	h.says("a", opWrite, queue, "2", "2", 2, 30, 40)
	h.says("b", opRead, queue, "", "2", 22, 24, 41)
	for _, v := range judgeRegister(h, map[string][]version{
		job:   {{10, opCreate, "", running}, {20, opCancel, "7", "CANCELED:7"}, {30, opRetry, "", running}},
		queue: {{40, opWrite, "2", "2"}},
	}, t.TempDir()) {
		if !v.Held() || v.Count == 0 {
			t.Errorf("%s: %s: %d, %q", v.ID, v.Rule, v.Count, v.Violations)
		}
	}
}

func TestRegister_DrawsWhatHasNoOrder(t *testing.T) {
	var h told
	h.says("a", opWrite, "queue/q", "1", "1", 0, 1, 10)
	h.says("b", opRead, "queue/q", "", absent, 2, 3, 10)
	dir := t.TempDir()
	text := linearizable("queue/q", h, time.Minute, dir)
	page, err := os.ReadFile(filepath.Join(dir, "register-queue-q.html"))
	if err != nil || !strings.Contains(string(page), "write(1)") || !strings.HasSuffix(text, "register-queue-q.html") {
		t.Errorf("%q; the page: %v, %d bytes", text, err, len(page))
	}
}

// TestRegister_VersionsOfALog holds the fold against a log in which a cancel comes twice.
func TestRegister_VersionsOfALog(t *testing.T) {
	id := fsm.JobID{1}
	ms := int64(5)
	cancel := func(reason string) *fsmpb.Command {
		return &fsmpb.Command{Kind: &fsmpb.Command_CancelJob{CancelJob: &fsmpb.CancelJob{Job: id[:], Reason: reason}}}
	}
	retry := &fsmpb.Command{Kind: &fsmpb.Command_RetryJob{RetryJob: &fsmpb.RetryJob{Job: id[:]}}}
	submit := &fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id[:]}}}
	set := &fsmpb.Command{Kind: &fsmpb.Command_SetQueue{SetQueue: &fsmpb.SetQueue{Queue: "q", AgeingMs: &ms}}}
	refused := fsm.Answer{Refusal: &fsm.Refusal{Code: fsm.CodeNotEnded}}
	of := fsm.Answer{Job: id}
	log := versions([]ledger.Entry{
		{Index: 1, Commands: []*fsmpb.Command{submit, submit, retry}, Result: &fsm.Result{Answers: []fsm.Answer{of, {Job: id, Existing: true}, refused}}},
		{Index: 2},
		{Index: 3, Commands: []*fsmpb.Command{cancel("a"), cancel("b"), set}, Result: &fsm.Result{Answers: []fsm.Answer{of, of, {}}}},
		{Index: 4, Commands: []*fsmpb.Command{retry}, Result: &fsm.Result{Answers: []fsm.Answer{of}}},
	})
	for index, want := range map[uint64]string{0: absent, 1: running, 2: running, 3: "CANCELED:a", 4: running, 9: running} {
		if got := valueAt(log[id.String()], index); got != want {
			t.Errorf("at index %d the job is %s, want %s", index, got, want)
		}
	}
	if got := valueAt(log["queue/q"], 3); got != "5" {
		t.Errorf("the queue holds %s", got)
	}
}
