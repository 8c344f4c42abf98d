package plot

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Figure is a picture that stands alone: panels on one horizontal scale, two beside each other. It has
// its own colours and paper, for light and dark.
type Figure struct {
	Title string
	// Below are lines under the title: what was measured.
	Below []string
	X     Axis
	// Panels each have a vertical scale of their own.
	Panels []Panel
	// Notes are lines at the foot: the conditions, and what is missing.
	Notes []string
}

// Axis is the horizontal one.
type Axis struct {
	Label string
	// Log is a logarithmic scale; a value of 0 then has a place of its own at the left edge.
	Log bool
	// Format writes a value; nil is SI.
	Format func(float64) string
}

// Panel is a plot with a vertical scale from 0, or a logarithmic one where its values are far apart.
type Panel struct {
	Label  string // with the unit
	Series []Series
	// Aim, if not 0, is drawn as a line across.
	Aim     float64
	AimName string
}

// Series is a line with a dot at each point.
type Series struct {
	Name   string
	Points []Point
}

// Measures of a figure, in the units of its view box.
const (
	panelWide  = 460.0
	panelHigh  = 218.0
	plotLeft   = 58.0
	plotRight  = 430.0
	plotTop    = 40.0
	plotBottom = 178.0
	lineHigh   = 16.0
)

const style = `<style>
svg{--ink:#1d2733;--dim:#5c6773;--paper:#fff;--line:#dfe4ea;--aim:#c0392b;font:12px system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{--ink:#dde4ec;--dim:#9aa7b4;--paper:#14191f;--line:#313b46;--aim:#ef6a5a}}
.paper{fill:var(--paper)}text{fill:var(--ink)}.scale,.dim{fill:var(--dim);font-size:11px}.title{font-size:16px;font-weight:600}.name{font-weight:600}
.axis{stroke:var(--dim)}.grid{stroke:var(--line)}.aim{stroke:var(--aim);stroke-dasharray:5 4;fill:none}.aimed{fill:var(--aim);font-size:11px}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.k0{stroke:#3b7dd8}.k1{stroke:#d9772b}.k2{stroke:#8a63d2}.k3{stroke:#2f9e8f}
.d0{fill:#3b7dd8}.d1{fill:#d9772b}.d2{fill:#8a63d2}.d3{fill:#2f9e8f}
</style>`

// lineKinds is how many colours a figure has.
const lineKinds = 4

// SVG draws the figure.
func (f Figure) SVG() string {
	f.Below, f.Notes = wrap(f.Below), wrap(f.Notes)
	var b strings.Builder
	head := 34 + lineHigh*float64(len(f.Below))
	rows := (len(f.Panels) + 1) / 2
	foot := head + panelHigh*float64(rows)
	height := foot + lineHigh*float64(len(f.Notes)) + 10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img"><title>%s</title>%s<rect class="paper" width="100%%" height="100%%"/>`,
		2*panelWide, height, Text(f.Title), style)
	fmt.Fprintf(&b, `<text class="title" x="16" y="24">%s</text>`, Text(f.Title))
	for i, line := range f.Below {
		fmt.Fprintf(&b, `<text class="dim" x="16" y="%.0f">%s</text>`, 42+lineHigh*float64(i), Text(line))
	}
	for i, p := range f.Panels {
		fmt.Fprintf(&b, "\n"+`<g transform="translate(%.0f %.0f)">%s</g>`, panelWide*float64(i%2), head+panelHigh*float64(i/2), f.panel(p))
	}
	for i, line := range f.Notes {
		fmt.Fprintf(&b, "\n"+`<text class="dim" x="16" y="%.0f">%s</text>`, foot+lineHigh*float64(i)+6, Text(line))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// lineWide is how many letters fit into a line of the figure.
const lineWide = 150

// wrap breaks lines between words.
func wrap(lines []string) (all []string) {
	for _, line := range lines {
		now := ""
		for _, word := range strings.Fields(line) {
			if now != "" && len(now)+1+len(word) > lineWide {
				all = append(all, now)
				now = ""
			}
			now = strings.TrimPrefix(now+" "+word, " ")
		}
		all = append(all, now)
	}
	return all
}

func (f Figure) panel(p Panel) string {
	x, zero := f.horizontal()
	y := p.vertical()
	var b strings.Builder
	fmt.Fprintf(&b, `<text class="name" x="16" y="14">%s</text>`, Text(p.Label))
	for _, v := range y.Ticks(5) {
		b.WriteString(Grid(plotLeft, plotRight, y, v, SI(v)))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%.0f %.0fH%.0f"/>`, plotLeft, plotBottom, plotRight)
	format := f.X.Format
	if format == nil {
		format = SI
	}
	mark := func(at float64, label string) {
		fmt.Fprintf(&b, `<path class="axis" d="M%.1f %.0fv4"/><text class="scale" x="%.1f" y="%.0f" text-anchor="middle">%s</text>`,
			at, plotBottom, at, plotBottom+16, Text(label))
	}
	if zero {
		mark(plotLeft, format(0))
	}
	for _, v := range f.ticks(x) {
		mark(x.At(v), format(v))
	}
	fmt.Fprintf(&b, `<text class="dim" x="%.0f" y="%.0f" text-anchor="middle">%s</text>`, (plotLeft+plotRight)/2, plotBottom+31, Text(f.X.Label))
	if p.Aim != 0 {
		fmt.Fprintf(&b, `<path class="aim" d="M%.0f %.1fH%.0f"/><text class="aimed" x="%.0f" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, y.At(p.Aim), plotRight, plotRight, y.At(p.Aim)-4, Text(p.AimName))
	}
	at := plotLeft
	for i, s := range p.Series {
		kind := i % lineKinds
		b.WriteString(Path(fmt.Sprintf("line k%d", kind), s.Name, x, y, s.Points))
		if len(s.Points) <= dotsMost {
			for _, point := range s.Points {
				if !math.IsNaN(point.Y) {
					fmt.Fprintf(&b, `<circle class="d%d" cx="%.1f" cy="%.1f" r="3"><title>%s at %s: %s</title></circle>`,
						kind, x.At(point.X), y.At(point.Y), Text(s.Name), Text(format(point.X)), SI(point.Y))
				}
			}
		}
		if len(p.Series) > 1 {
			b.WriteString(Legend(fmt.Sprintf("line k%d", kind), s.Name, at, 27))
			at += 36 + 6*float64(len(s.Name))
		}
	}
	return b.String()
}

// dotsMost is above how many points a line has no dots.
const dotsMost = 40

// horizontal is the scale of all panels, and whether 0 has its own place at the left edge of a
// logarithmic one.
func (f Figure) horizontal() (s Scale, zero bool) {
	s = Scale{From: math.Inf(1), To: math.Inf(-1), Begin: plotLeft, End: plotRight, Log: f.X.Log}
	for _, p := range f.Panels {
		for _, series := range p.Series {
			for _, point := range series.Points {
				if f.X.Log && point.X <= 0 {
					zero = true
					continue
				}
				s.From, s.To = min(s.From, point.X), max(s.To, point.X)
			}
		}
	}
	switch {
	case s.From > s.To: // no points
		s.From, s.To = 1, 10
	case s.From == s.To && s.Log:
		s.From, s.To = s.From/2, s.To*2
	case !s.Log:
		s.From = min(s.From, 0)
	}
	if zero {
		s.From /= math.Pow(s.To/s.From, 0.2) // room beside it
	}
	return s, zero
}

// ticks are the points' own places on a logarithmic scale while they are few, for that is where one
// looks; else round values.
func (f Figure) ticks(s Scale) []float64 {
	if !s.Log {
		return s.Ticks(8)
	}
	seen := map[float64]bool{}
	var all []float64
	for _, p := range f.Panels {
		for _, series := range p.Series {
			for _, point := range series.Points {
				if point.X > 0 && !seen[point.X] {
					seen[point.X] = true
					all = append(all, point.X)
				}
			}
		}
	}
	if len(all) > 8 {
		return s.Ticks(8)
	}
	return all
}

// far is the ratio from which on values are drawn on a logarithmic scale.
const far = 40

// vertical is the scale of a panel.
func (p Panel) vertical() Scale {
	least, most := math.Inf(1), p.Aim
	if p.Aim != 0 {
		least = p.Aim
	}
	for _, s := range p.Series {
		for _, point := range s.Points {
			if point.Y > 0 {
				least = min(least, point.Y)
			}
			if !math.IsNaN(point.Y) {
				most = max(most, point.Y)
			}
		}
	}
	if most <= 0 {
		most = 1
	}
	s := Scale{To: most * 1.08, Begin: plotBottom, End: plotTop}
	if most/least > far {
		s.Log = true
		s.From = math.Pow(10, math.Floor(math.Log10(least)))
	}
	return s
}

// SI writes a number with at most three digits and k, M or G.
func SI(v float64) string { return shorten(v, 1000, []string{"", "k", "M", "G", "T"}) }

// Bytes writes a number of bytes.
func Bytes(v float64) string {
	return shorten(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB"})
}

func shorten(v, base float64, units []string) string {
	i := 0
	for i < len(units)-1 && math.Abs(v) >= base {
		v /= base
		i++
	}
	return strconv.FormatFloat(rounded(v), 'f', -1, 64) + units[i]
}

// rounded keeps three digits, or the whole number.
func rounded(v float64) float64 {
	if v == 0 || math.Abs(v) >= 100 {
		return math.Round(v)
	}
	unit := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*unit) / unit
}
