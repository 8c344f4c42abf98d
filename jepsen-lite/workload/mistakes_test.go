package workload

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestMistakes_EachIsRefusedWithItsCode: what the table says of the API is so.
func TestMistakes_EachIsRefusedWithItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1).Client()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		job, err := echoTask.Submit(ctx, c, "right", sdk.JobKey("right"))
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, m := range mistakes {
			if names[m.name] {
				t.Errorf("two mistakes are called %q", m.name)
			}
			names[m.name] = true
			if err := m.send(ctx, c, mark(sdk.NewJobID()), good{job.ID(), "right"}); codeOf(err) != m.code || outcomeOf(err) != history.Fail {
				t.Errorf("%s: want %s, and not: %v", m.name, m.code, err)
			}
		}
	})
}

// stateOf is a state in which a job was submitted.
func stateOf(t *testing.T, change func(*fsmpb.SubmitJob)) *evidence.Evidence {
	t.Helper()
	m, err := fsm.Open(vfs.NewMem(), "state", fsm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	id, err := fsm.ParseJobID(sdk.NewJobID())
	if err != nil {
		t.Fatal(err)
	}
	submit := &fsmpb.SubmitJob{Job: id[:], Namespace: "default", Graph: []byte(strings.ReplaceAll(oneStep, "%s", "right")), Input: &fsmpb.Value{Inline: []byte("1")}}
	change(submit)
	entry, err := fsm.EncodeEntry(1, []*fsmpb.Command{{Kind: &fsmpb.Command_SubmitJob{SubmitJob: submit}}})
	if err != nil {
		t.Fatal(err)
	}
	results, err := m.Apply([]fsm.LogEntry{{Index: 1, Term: 1, Data: entry}})
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0].Answers[0].Refusal; r != nil {
		t.Fatal(r)
	}
	return &evidence.Evidence{Ledger: &ledger.Ledger{Machine: m}}
}

func TestCheckMistakes_FindsWhatIsForged(t *testing.T) {
	m := mark(sdk.NewJobID())
	refused := history.Op{Kind: opMistake, Key: mistakes[0].name, Value: string(m), Outcome: history.Fail, Answer: mistakes[0].code}
	with := func(change func(*history.Op)) history.Op {
		op := refused
		change(&op)
		return op
	}
	nothing := func(*fsmpb.SubmitJob) {}
	for _, x := range []struct {
		name   string
		op     history.Op
		stored func(*fsmpb.SubmitJob)
		broken string // the end of the rule
	}{
		{"refused", refused, nothing, ""},
		{"unknown", with(func(o *history.Op) { o.Outcome, o.Answer = history.Unknown, "" }), nothing, ""},
		{"no leader", with(func(o *history.Op) { o.Answer = "NO_LEADER" }), nothing, ""},
		{"accepted", with(func(o *history.Op) { o.Outcome, o.Answer = history.OK, "" }), nothing, "documents for it"},
		{"another code", with(func(o *history.Op) { o.Answer = "INTERNAL" }), nothing, "documents for it"},
		{"a right one refused", history.Op{Kind: "submit", Key: "k", Outcome: history.Fail, Answer: "INVALID"}, nothing, "whatever others send"},
		{"its job", refused, func(c *fsmpb.SubmitJob) { c.Job = m.bytes() }, "in the state"},
		{"its key", refused, func(c *fsmpb.SubmitJob) { c.Key = m.text() }, "in the state"},
		{"its graph", refused, func(c *fsmpb.SubmitJob) { c.Graph = []byte(strings.ReplaceAll(oneStep, "%s", m.text())) }, "in the state"},
		{"its input, though nobody knows its outcome", with(func(o *history.Op) { o.Outcome = history.Unknown }),
			func(c *fsmpb.SubmitJob) { c.Input.Inline = []byte(`"` + longer(m.text(), 100<<10) + `"`) }, "in the state"},
	} {
		e := stateOf(t, x.stored)
		e.Ops = []history.Op{x.op}
		for _, v := range checkMistakes(e) {
			if broken := x.broken != "" && strings.HasSuffix(v.Rule, x.broken); v.Held() == broken {
				t.Errorf("%s: %q: %v", x.name, v.Rule, v.Violations)
			}
		}
	}
}
