// Package progress shows work under way: bars that are redrawn in place on a terminal, and elsewhere
// one line for each change.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
)

// A line on the terminal is label, bar, numbers, state and note, in this order, cut at the terminal's
// width: a line that wrapped could not be redrawn in place.
const (
	labelWidth   = 28
	barWidth     = 32
	leastWidth   = 40
	defaultWidth = 80
)

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
	width := d.width()
	for _, bar := range d.bars {
		fmt.Fprintln(d.out, bar.drawn(width, d.colour))
	}
	d.drawn = len(d.bars)
}

// width is how much fits on a line, asked each time because people resize windows.
func (d *Display) width() int {
	if f, ok := d.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return max(width-1, leastWidth)
		}
	}
	return defaultWidth
}

// line is a bar as text. It says no more than changes of interest, so that a pipe is not flooded.
func (b Bar) line() string {
	text := fmt.Sprintf("%s %s %d/%s", b.Label, b.State, b.Done, total(b.Total))
	if b.Note != "" {
		text += " (" + b.Note + ")"
	}
	return text
}

// drawn is a bar as a line of at most width characters.
func (b Bar) drawn(width int, colour bool) string {
	numbers := fmt.Sprintf(" %9s  %s", fmt.Sprintf("%d/%s", b.Done, total(b.Total)), b.State)
	if b.Note != "" {
		numbers += "  " + b.Note
	}
	label := fmt.Sprintf("%-*s ", labelWidth, cut(b.Label, labelWidth))
	cells := min(barWidth, max(0, width-len(label)-len(numbers)))
	filled := 0
	if b.Total > 0 {
		filled = int(min(b.Done, b.Total) * uint64(cells) / b.Total)
	}
	full, empty := strings.Repeat("█", filled), strings.Repeat("░", cells-filled)
	if colour {
		full = "\x1b[32m" + full + "\x1b[0m"
	}
	return label + full + empty + cut(numbers, width-len(label)-cells)
}

// cut shortens ASCII text.
func cut(text string, width int) string { return text[:max(0, min(len(text), width))] }

func total(n uint64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprint(n)
}
