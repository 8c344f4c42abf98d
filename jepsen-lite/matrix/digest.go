package matrix

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Digest writes many outcomes as one Markdown text: totals, how many runs each workload went through under
// each nemesis, and every run that did not hold.
func Digest(outcomes []*Outcome) string {
	var rows []Row
	var seconds float64
	for _, o := range outcomes {
		rows, seconds = append(rows, o.Rows...), seconds+o.Seconds
	}
	var b strings.Builder
	totals(&b, rows, seconds)
	grid(&b, rows)
	for _, r := range rows {
		if r.Verdict != Held {
			fmt.Fprintf(&b, "\n- **%s**, %s: %s.\n", r.Verdict, r.Cell, cmp.Or(strings.Join(r.Broken, ", "), r.Why))
			if r.Again != "" { // of a run that could not be judged, nothing says how it was called
				fmt.Fprintf(&b, "  Again: `%s`\n", r.Again)
			}
		}
	}
	return b.String()
}

func totals(b *strings.Builder, rows []Row, seconds float64) {
	t := Sum(rows)
	gap := time.Duration(0)
	for _, r := range rows {
		gap = max(gap, r.LongestGap)
	}
	b.WriteString("| | |\n|---|---:|\n")
	for _, line := range []struct {
		name  string
		value any
	}{
		{"runs", t.Cells},
		{"... that held every invariant", t.Held},
		{"... that broke one", t.Violated},
		{"... that proved nothing, also when run again", t.Invalid},
		{"... that could not be run or judged", t.Failed},
		{"time", (time.Duration(seconds) * time.Second).String()},
		{"faults", t.Faults},
		{"operations that succeeded", t.Operations},
		{"operations of unknown outcome", t.Unknown},
		{"entries of the log judged", t.Entries},
		{"acknowledged submissions that were lost", t.Lost},
		{"submissions that were made twice", t.Duplicated},
		{"submissions of unknown outcome that had been made", t.Recovered},
		{"violations", t.Violations},
		{"longest time without a success", gap.Round(10 * time.Millisecond).String()},
	} {
		fmt.Fprintf(b, "| %s | %v |\n", line.name, line.value)
	}
}

// grid counts the runs of each workload that held under each nemesis; a run under three counts for each.
func grid(b *strings.Builder, rows []Row) {
	held := map[[2]string]int{}
	workloads, nemeses := map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		workloads[r.Workload] = true
		for _, n := range r.Nemeses {
			nemeses[n] = true
			if r.Verdict == Held {
				held[[2]string{r.Workload, n}]++
			}
		}
	}
	columns := slices.Sorted(maps.Keys(workloads))
	fmt.Fprintf(b, "\n| runs that held | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)))
	for _, n := range slices.Sorted(maps.Keys(nemeses)) {
		fmt.Fprintf(b, "| %s |", n)
		for _, w := range columns {
			if k := held[[2]string{w, n}]; k > 0 {
				fmt.Fprintf(b, " %d |", k)
			} else {
				b.WriteString(" · |")
			}
		}
		b.WriteString("\n")
	}
}
