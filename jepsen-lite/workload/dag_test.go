package workload

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// graphRun forges the evidence of one graph that came to an end, with the failures that the log has of it.
func graphRun(seed uint64, end string, failures map[string]map[uint64]int) *evidence.Evidence {
	id := fsm.JobID(ulid.Make())
	key := "c0-0-" + strconv.FormatUint(seed, 10)
	e := &evidence.Evidence{Ledger: &ledger.Ledger{}}
	command := func(c *fsmpb.Command, state ...fsm.Finished) {
		e.Ledger.Entries = append(e.Ledger.Entries, ledger.Entry{Commands: []*fsmpb.Command{c}, Result: &fsm.Result{Answers: []fsm.Answer{{Job: id}}, Finished: state}})
	}
	command(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Key: key, Graph: sketchOf(seed).workflow().Graph()}}})
	names := graphJobs(e)[id.String()].names
	for n, name := range names {
		for shard, times := range failures[name] {
			for range times {
				command(&fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: &fsmpb.FailTask{Task: &fsmpb.TaskRef{Job: id[:], Step: uint32(n), Shard: shard}}}})
			}
		}
	}
	command(&fsmpb.Command{Kind: &fsmpb.Command_CloseSession{}}, fsm.Finished{Job: id, State: fsm.JobSuccess})
	e.Ops = []history.Op{{Kind: "await", Key: id.String(), Value: end, Outcome: history.OK}}
	return e
}

func brokenGraphs(e *evidence.Evidence) (ids []string) {
	for _, v := range checkDAG(e) {
		if !v.Held() {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func TestCheckDAG_FindsWhatTheOracleDoesNotSay(t *testing.T) {
	alive, deadly, failing := uint64(0), uint64(0), uint64(0) // seeds of graphs that succeed, that cannot, that fail on their way
	for seed := uint64(1); alive == 0 || deadly == 0 || failing == 0; seed++ {
		switch want := sketchOf(seed).expect(); {
		case len(want.killers) > 0:
			deadly = seed
		case totalFailures(want) == 0:
			alive = seed
		default:
			failing = seed
		}
	}
	good := func(seed uint64) string { return strconv.FormatUint(sketchOf(seed).expect().value, 10) }
	for _, c := range []struct {
		name string
		run  *evidence.Evidence
		want []string
	}{
		{"the oracle's number", graphRun(alive, good(alive), nil), nil},
		{"another number", graphRun(alive, "7", nil), []string{"D4"}},
		{"a failure of what should succeed", graphRun(alive, "FAILURE s1", nil), []string{"D5"}},
		{"a cancel that nobody asked for", graphRun(alive, "CANCELED", nil), []string{"S7"}},
		{"a success of what should fail", graphRun(deadly, "7", sketchOf(deadly).expect().failures), []string{"D5"}},
		{"a failure by a step that lives", graphRun(deadly, "FAILURE nobody", sketchOf(deadly).expect().failures), []string{"D5"}},
		{"the failures that there should be", graphRun(failing, good(failing), sketchOf(failing).expect().failures), nil},
		{"none of them", graphRun(failing, good(failing), nil), []string{"A3"}},
	} {
		if got := brokenGraphs(c.run); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v are found to be broken, want %v", c.name, got, c.want)
		}
	}
}

func totalFailures(want expected) (n int) {
	for _, shards := range want.failures {
		for _, times := range shards {
			n += times
		}
	}
	return n
}

func TestSketch_GraphsAreManyAndTheSameOfTheSameSeed(t *testing.T) {
	seen := map[verb]int{}
	deadly := 0
	for seed := range uint64(300) {
		s := sketchOf(seed)
		if string(s.workflow().Graph()) != string(sketchOf(seed).workflow().Graph()) {
			t.Fatalf("two graphs of seed %d differ", seed)
		}
		for _, l := range s.lines[1:] {
			seen[l.verb]++
		}
		if len(s.expect().killers) > 0 {
			deadly++
		}
	}
	if len(seen) != verbs || deadly < 30 || deadly > 270 {
		t.Errorf("of 300 graphs %d cannot succeed; verbs: %v", deadly, seen)
	}
}
