package docs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/fsm"
)

const statePage = "state-machine.md"

func stateName(s fsm.TaskState) string {
	if s == 0 {
		return "(new)"
	}
	return s.String()
}

func TestStateMachine_TableIsFsmMoves(t *testing.T) {
	var want, got []string
	for _, m := range fsm.Moves {
		want = append(want, fmt.Sprintf("%s %s %s", stateName(m.From), m.On, m.To))
	}
	for _, row := range rows(t, statePage, "Moves of a task") {
		got = append(got, strings.Join(row[:3], " "))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of moves is not fsm.Moves (-program +page):\n%s", diff)
	}
}

func TestStateMachine_DiagramIsFsmMoves(t *testing.T) {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for i, m := range fsm.Moves {
		if edge(fsm.Moves[:i], m.From, m.To) {
			continue // drawn with an earlier one
		}
		var on []string
		for _, o := range fsm.Moves {
			if o.From == m.From && o.To == m.To {
				on = append(on, o.On)
			}
		}
		from := "[*]"
		if m.From != 0 {
			from = m.From.String()
		}
		fmt.Fprintf(&b, "    %s --> %s: %s\n", from, m.To, strings.Join(on, ", "))
	}
	_, rest, _ := strings.Cut(read(t, statePage), "```mermaid\n")
	got, _, _ := strings.Cut(rest, "```")
	if diff := cmp.Diff(b.String(), got); diff != "" {
		t.Errorf("the diagram is not fsm.Moves (-program +page); it should be\n%s\n%s", b.String(), diff)
	}
}

func edge(moves []fsm.Move, from, to fsm.TaskState) bool {
	return slices.ContainsFunc(moves, func(m fsm.Move) bool { return m.From == from && m.To == to })
}

func TestStateMachine_StatesAreThoseOfTheProgram(t *testing.T) {
	var want, got []string
	for s := fsm.TaskBlocked; s.String() != ""; s++ {
		want = append(want, fmt.Sprint(s, " ended: ", s.Ended()))
	}
	for _, row := range rows(t, statePage, "States of a task") {
		got = append(got, fmt.Sprint(row[0], " ended: ", row[2] == "yes"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states of a task (-program +page):\n%s", diff)
	}
}

func TestStateMachine_JobStatesExist(t *testing.T) {
	named := map[string]bool{}
	for _, row := range rows(t, statePage, "States of a job") {
		for _, name := range []string{row[0], row[2]} {
			if _, ok := fsm.ParseJobState(name); !ok && name != "(new)" {
				t.Errorf("the page names job state %q, which does not exist", name)
			}
			named[name] = true
		}
	}
	for s := fsm.JobRunning; s.String() != ""; s++ {
		if !named[s.String()] && s != fsm.JobPaused { // reserved
			t.Errorf("the page does not say how a job comes to be %s", s)
		}
	}
}
