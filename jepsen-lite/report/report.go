// Package report writes what a run came to as one HTML page that needs nothing beside it: no scripts, no
// fonts, no network. The pictures are SVG, drawn here.
package report

import (
	_ "embed"
	"html/template"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

// Run is what a report is made of.
type Run struct {
	Workload       string
	Nemeses        []string
	Nodes, Workers int
	LogStore       string
	Seed           uint64
	Seconds        float64
	// Again is the command that repeats the run.
	Again    string
	Verdicts []evidence.Verdict
	// Invalid says why the run proves nothing.
	Invalid     []string
	Submissions evidence.Submissions
	Gaps        []timeline.Gap
	Leaders     []timeline.Leader
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"seconds": seconds,
	"join":    func(list []string) string { return strings.Join(list, ", ") },
	"dash": func(s string) string {
		if s == "" {
			return "–"
		}
		return s
	},
}).Parse(pageText))

// Write writes the report to a file.
func Write(path string, r Run, e *evidence.Evidence) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = page.Execute(f, view(r, e))
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// picture is an SVG with its heading.
type picture struct {
	Title, About string
	SVG          template.HTML
}

type pageView struct {
	Run
	Evidence *evidence.Evidence
	// Mood is held, violated or invalid.
	Mood, Title, Sentence string
	Counts                []counts
	Pictures              []picture
	First                 *explanation
	Entries               int
}

// counts are the outcomes of one kind of operation.
type counts struct {
	Kind              string
	OK, Fail, Unknown int
}

func count(ops []history.Op) (all []counts) {
	for _, kind := range timeline.Kinds(ops) {
		n := counts{Kind: kind}
		for _, op := range ops {
			switch {
			case op.Kind != kind:
			case op.Outcome == history.OK:
				n.OK++
			case op.Outcome == history.Fail:
				n.Fail++
			default:
				n.Unknown++
			}
		}
		all = append(all, n)
	}
	return all
}

func view(r Run, e *evidence.Evidence) *pageView {
	v := &pageView{Run: r, Evidence: e, Counts: count(e.Ops), Entries: len(e.Ledger.Entries), First: explain(r.Verdicts, e)}
	broken, idle := 0, 0
	for i := range r.Verdicts {
		switch {
		case !r.Verdicts[i].Held():
			broken++
		case r.Verdicts[i].Idle():
			idle++
		}
	}
	against := "nothing going wrong"
	if len(r.Nemeses) > 0 {
		against = strings.Join(r.Nemeses, ", ")
	}
	v.Title = r.Workload + " against " + against
	switch {
	case broken > 0:
		v.Mood, v.Sentence = "violated", strconv.Itoa(broken)+" of "+strconv.Itoa(len(r.Verdicts))+" invariants were broken"
	case len(r.Invalid) > 0:
		v.Mood, v.Sentence = "invalid", "the run proves nothing: "+strings.Join(r.Invalid, "; ")
	default:
		v.Mood, v.Sentence = "held", "all "+strconv.Itoa(len(r.Verdicts)-idle)+" invariants that the run put to the test held"
	}
	v.Pictures = draw(r, e)
	return v
}

// draw makes all pictures on one scale of time.
func draw(r Run, e *evidence.Evidence) []picture {
	until := e.Load
	for _, op := range e.Ops {
		until = max(until, op.End)
	}
	for _, f := range e.Faults {
		until = max(until, f.End)
	}
	if until <= 0 {
		return nil
	}
	c := canvas{until: until, faults: e.Faults, leaders: r.Leaders}
	width := slice(until)
	loaded := slices.DeleteFunc(slices.Clone(e.Ops), func(op history.Op) bool { return op.Begin >= e.Load }) // what settles would dwarf the rest
	pictures := []picture{
		{"Operations and faults", "A row for each client: green an operation that succeeds, yellow one that was refused, red one whose outcome stayed unknown. Bands are faults, dashed lines begin a term.", c.operations(e.Ops)},
		{"Throughput", "Operations of the load that succeeded, per second, in slices of " + seconds(width) + ".", c.throughput(loaded, width)},
	}
	for _, kind := range timeline.Kinds(e.Ops) {
		pictures = append(pictures, picture{"Latency: " + kind, "Median, 99th percentile and slowest of those that succeeded, by the time of their end; the scale is logarithmic.", c.latency(loaded, kind, width)})
	}
	return pictures
}

// slice is the width of a slice of time: about 120 in a run, and not below 100 ms.
func slice(until time.Duration) time.Duration {
	steps := []time.Duration{100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 600_000}
	i := slices.IndexFunc(steps, func(ms time.Duration) bool { return until/(ms*time.Millisecond) <= 120 })
	if i < 0 {
		i = len(steps) - 1
	}
	return steps[i] * time.Millisecond
}

// seconds writes a duration for people.
func seconds(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond / 10).String()
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s"
}
