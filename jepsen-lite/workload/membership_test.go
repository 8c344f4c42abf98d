package workload

import (
	"testing"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

func TestChanges_AConfigurationThatAllowsTwoMajoritiesIsFound(t *testing.T) {
	configuration := func(index, term uint64, voters ...string) ledger.Entry {
		return ledger.Entry{Index: index, Term: term, Members: voters, Voters: voters}
	}
	honest := []ledger.Entry{configuration(1, 1, "a", "b", "c"), configuration(2, 2, "a", "b", "c", "d"), {Index: 3, Term: 3}, configuration(4, 3, "a", "b", "d")}
	for _, c := range []struct {
		name   string
		e      evidence.Evidence
		broken int // which of the three, or -1
	}{
		{"one at a time", evidence.Evidence{Ledger: &ledger.Ledger{Entries: honest}, Samples: []evidence.Sample{{Term: 3, Leader: "d"}}}, -1},
		{"two at once", evidence.Evidence{Ledger: &ledger.Ledger{Entries: []ledger.Entry{honest[0], configuration(2, 2, "a", "d", "e")}}}, 0},
		{"a stranger leads", evidence.Evidence{Ledger: &ledger.Ledger{Entries: append(honest[:4:4], ledger.Entry{Index: 5, Term: 4})}, Samples: []evidence.Sample{{Term: 4, Leader: "c"}}}, 1},
		{"one that left is still there", evidence.Evidence{Ledger: &ledger.Ledger{Entries: honest}, Ops: []history.Op{{Kind: "leave", Key: "d", Outcome: history.OK}}}, 2},
	} {
		for i, v := range changes(&c.e) {
			if v.Held() != (i != c.broken) {
				t.Errorf("%s: %s is broken: %t", c.name, v.Rule, !v.Held())
			}
		}
	}
}
