// Package progress shows work under way: bars that are redrawn in place on a terminal, and elsewhere
// one line for each change.
package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

const barWidth = 32

// Bar is the state of one piece of work.
type Bar struct {
	Label string
	State string
	Done  uint64
	Total uint64 // 0: not known yet
	Note  string
}

// Display shows bars. Its methods are safe for concurrent use.
type Display struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	colour   bool
	drawn    int               // lines on the terminal that Show may redraw
	bars     []Bar             // last shown
	lines    map[string]string // by label, last printed
}

// New makes a display that writes to out.
func New(out io.Writer) *Display {
	return &Display{out: out, terminal: output.Terminal(out), colour: output.Colour(out), lines: make(map[string]string)}
}

// Show replaces what is shown. Without a terminal it prints the bars that changed.
func (d *Display) Show(bars ...Bar) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.terminal {
		for _, bar := range bars {
			if line := bar.line(); d.lines[bar.Label] != line {
				d.lines[bar.Label] = line
				fmt.Fprintln(d.out, line)
			}
		}
		return
	}
	d.clear()
	d.bars = bars
	d.draw()
}

// Note prints a line that stays, above the bars.
func (d *Display) Note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
	fmt.Fprintln(d.out, line)
	d.draw()
}

// Finish leaves the bars as they are: later output goes below them.
func (d *Display) Finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drawn, d.bars = 0, nil
}

// clear moves up over the drawn bars and erases them.
func (d *Display) clear() {
	if d.drawn > 0 {
		fmt.Fprintf(d.out, "\x1b[%dA\x1b[J", d.drawn)
		d.drawn = 0
	}
}

func (d *Display) draw() {
	if !d.terminal {
		return
	}
	for _, bar := range d.bars {
		fmt.Fprintln(d.out, bar.drawn(d.colour))
	}
	d.drawn = len(d.bars)
}

// line is a bar as text. It says no more than changes of interest, so that a pipe is not flooded.
func (b Bar) line() string {
	text := fmt.Sprintf("%s %s %d/%s", b.Label, b.State, b.Done, total(b.Total))
	if b.Note != "" {
		text += " (" + b.Note + ")"
	}
	return text
}

func (b Bar) drawn(colour bool) string {
	filled := 0
	if b.Total > 0 {
		filled = int(min(b.Done, b.Total) * barWidth / b.Total)
	}
	full := strings.Repeat("█", filled)
	if colour {
		full = "\x1b[32m" + full + "\x1b[0m"
	}
	line := fmt.Sprintf("%-28s %s%s %9s  %s", b.Label, full, strings.Repeat("░", barWidth-filled),
		fmt.Sprintf("%d/%s", b.Done, total(b.Total)), b.State)
	if b.Note != "" {
		line += "  " + b.Note
	}
	return line
}

func total(n uint64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprint(n)
}

// OfJob makes one bar of each step of a job, labelled prefix and step name.
func OfJob(prefix string, job *apiv1.JobStatus) []Bar {
	var bars []Bar
	for _, step := range job.GetSteps() {
		bar := Bar{Label: prefix + step.GetName(), State: step.GetState(), Done: step.GetSucceeded(), Total: step.GetTotal()}
		var notes []string
		if step.GetRetrying() > 0 {
			notes = append(notes, fmt.Sprintf("%d wait to be tried again", step.GetRetrying()))
		}
		if step.GetDead() > 0 {
			notes = append(notes, fmt.Sprintf("%d dead", step.GetDead()))
		}
		bar.Note = strings.Join(notes, ", ")
		bars = append(bars, bar)
	}
	return bars
}
