package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

// broken is a run of one job in which a task was granted twice, written down by hand.
func broken() (Run, *evidence.Evidence) {
	job := fsm.JobID{1, 2, 3}
	ref := fsm.TaskRef{Job: job}
	start := time.UnixMilli(1_000_000)
	entries := []ledger.Entry{{Index: 1, Term: 2}}
	add := func(c *fsmpb.Command, r fsm.Result) {
		n := uint64(len(entries))
		r.Answers = make([]fsm.Answer, 1)
		entries = append(entries, ledger.Entry{Index: n + 1, Term: 2 + n/20, NowMS: start.UnixMilli() + int64(n)*100, Commands: []*fsmpb.Command{c}, Result: &r})
	}
	add(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: job[:], Key: "<key>"}}}, fsm.Result{Grants: []fsm.Grant{{Session: 7, Task: ref}}})
	for range 30 {
		add(&fsmpb.Command{Kind: &fsmpb.Command_HashState{HashState: &fsmpb.HashState{}}}, fsm.Result{})
	}
	add(&fsmpb.Command{Kind: &fsmpb.Command_CloseSession{CloseSession: &fsmpb.CloseSession{Session: 9}}}, fsm.Result{Grants: []fsm.Grant{{Session: 8, Task: ref}}})
	v := evidence.Verdict{ID: "A1", Rule: "one lease at a time", Count: 2}
	v.Violate("index 32: task " + ref.String() + " was leased to session 8, session 7 has it")
	e := &evidence.Evidence{
		Ledger: &ledger.Ledger{Entries: entries}, Start: start, Load: 4 * time.Second,
		Faults: []evidence.Fault{{Nemesis: "kill-leader", Target: "n1", Begin: time.Second, End: 2 * time.Second, Effect: "process 1 was killed"}},
		Ops: []history.Op{
			{Client: "c0", Kind: "submit", Key: "<key>", Value: job.String(), Begin: 100, End: time.Second / 2, Outcome: history.OK},
			{Client: "c1", Kind: "submit", Key: "<other>", Begin: time.Second, End: 3 * time.Second, Outcome: history.Unknown, Error: "<timeout>"},
		},
	}
	r := Run{Workload: "submit", Nemeses: []string{"kill-leader"}, Seed: 42, Again: "go run ./jepsen-lite run --seed 42", Verdicts: []evidence.Verdict{v}}
	r.Gaps = timeline.Gaps(e.Ops, e.Faults, e.Load)
	r.Leaders = timeline.Leaders(entries, start)
	return r, e
}

func write(t *testing.T, r Run, e *evidence.Evidence) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := Write(path, r, e); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWrite_SaysWhatWasBrokenAndShowsTheLogAroundIt(t *testing.T) {
	page := writeBroken(t)
	for _, want := range []string{
		"1 of 1 invariants were broken", "seed 42", "go run ./jepsen-lite run --seed 42",
		`<tr class="here"><td class="n">32</td>`, // the entry itself
		`<td class="n">26</td>`,                  // one before it
		"SubmitJob", "key &#34;&lt;key&gt;&#34;", // the job's own beginning, far from it
		"granted: task", "kill-leader", "process 1 was killed", // the fault
		"<td class=\"n\">500ms</td><td class=\"n\">4.00s</td>", // the gap
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	for _, no := range []string{"<key>", "<timeout>", "<script", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
}

func TestWrite_PicturesAreWellFormed(t *testing.T) {
	page := writeBroken(t)
	pictures := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(pictures) != 3 {
		t.Fatalf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		d := xml.NewDecoder(strings.NewReader(p))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, p)
			}
		}
		if !strings.Contains(p, `class="band"`) || !strings.Contains(p, `class="term"`) {
			t.Errorf("a picture has no band of the fault or no change of leader: %s", p)
		}
	}
}

func TestWrite_AnInvalidRunHasNotHeld(t *testing.T) {
	r, e := broken()
	r.Verdicts, r.Invalid = []evidence.Verdict{{ID: "S1"}}, []string{"too little load"}
	if page := write(t, r, e); !strings.Contains(page, `class="mood invalid"`) || strings.Contains(page, "The first violation") {
		t.Error("the page of an invalid run without a violation is wrong")
	}
}

func writeBroken(t *testing.T) string {
	t.Helper()
	r, e := broken()
	return write(t, r, e)
}
