package progress

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk/api/v1"
)

func TestDisplay_APipeGetsALineForEachChange(t *testing.T) {
	var out bytes.Buffer
	d := New(&out)
	d.Show(Bar{Label: "plan", State: "STARTED", Total: 1}, Bar{Label: "count", State: "BLOCKED"})
	d.Show(Bar{Label: "plan", State: "STARTED", Total: 1}, Bar{Label: "count", State: "BLOCKED"})
	d.Note("killed n1")
	d.Show(Bar{Label: "plan", State: "SUCCESS", Done: 1, Total: 1}, Bar{Label: "count", State: "STARTED", Done: 2, Total: 9, Note: "1 dead"})
	want := `plan STARTED 0/1
count BLOCKED 0/?
killed n1
plan SUCCESS 1/1
count STARTED 2/9 (1 dead)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDisplay_ATerminalIsRedrawnInPlace(t *testing.T) {
	var out bytes.Buffer
	d := New(&out)
	d.terminal = true
	d.Show(Bar{Label: "a", Total: 2}, Bar{Label: "b"})
	out.Reset()
	d.Note("note")
	if !strings.HasPrefix(out.String(), "\x1b[2A\x1b[Jnote\na ") {
		t.Errorf("a note over two bars wrote %q", out.String())
	}
	d.Finish()
	out.Reset()
	d.Note("below")
	if out.String() != "below\n" {
		t.Errorf("a note after the end wrote %q", out.String())
	}
}

func TestBar_FitsTheTerminal(t *testing.T) {
	bar := Bar{Label: strings.Repeat("label", 9), State: "STARTED", Done: 5, Total: 10, Note: strings.Repeat("note", 30)}
	for _, width := range []int{40, 80, 200} {
		if got := utf8.RuneCountInString(bar.drawn(width, false)); got > width {
			t.Errorf("%d characters on a line of %d", got, width)
		}
	}
	bar.Note = ""
	if got := bar.drawn(120, false); strings.Count(got, "█") != barWidth/2 || strings.Count(got, "░") != barWidth/2 {
		t.Errorf("half done is drawn as %q", got)
	}
}

func TestOfJob_OneBarPerStep(t *testing.T) {
	got := OfJob("wc ", &apiv1.JobStatus{Steps: []*apiv1.StepStatus{
		{Name: "plan", State: "SUCCESS", Succeeded: 1, Total: 1},
		{Name: "count", State: "STARTED", Succeeded: 3, Total: 9, Retrying: 2, Dead: 1},
	}})
	want := []Bar{
		{Label: "wc plan", State: "SUCCESS", Done: 1, Total: 1},
		{Label: "wc count", State: "STARTED", Done: 3, Total: 9, Note: "2 wait to be tried again, 1 dead"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
