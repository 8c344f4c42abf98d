package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

// Measures of every picture, in the units of its view box.
const (
	left    = 90.0 // of the plot, where names and scales end
	right   = 1090.0
	gutter  = 18.0 // below the plot, for the time
	columns = int(right - left)
	// headroom is above a plot, for the legend.
	headroom = 24.0
)

// canvas draws with one scale of time. Everything that comes from the run is escaped by plot.Text.
type canvas struct {
	until   time.Duration
	faults  []evidence.Fault
	leaders []timeline.Leader
}

// scale is that of time, in nanoseconds.
func (c *canvas) scale() plot.Scale {
	return plot.Scale{To: float64(c.until), Begin: left, End: right}
}

func (c *canvas) x(at time.Duration) float64 { return c.scale().At(float64(at)) }

// frame puts the bands of the faults, the begins of terms and the axis of time behind a plot.
func (c *canvas) frame(height float64, drawn string) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 1100 %.0f" role="img">`, height+gutter)
	for _, f := range c.faults {
		fmt.Fprintf(&b, `<rect class="band" x="%.1f" y="0" width="%.1f" height="%.1f"><title>%s: %s, %s to %s; %s</title></rect>`,
			c.x(f.Begin), max(1, c.x(f.End)-c.x(f.Begin)), height, plot.Text(f.Nemesis), plot.Text(f.Target), seconds(f.Begin), seconds(f.End), plot.Text(f.Effect))
	}
	b.WriteString(drawn)
	for i, l := range c.leaders {
		if i == 0 {
			continue // the first leader is no change
		}
		fmt.Fprintf(&b, `<line class="term" x1="%.1f" x2="%.1f" y1="0" y2="%.1f"><title>term %d begins at %s, index %d</title></line>`,
			c.x(l.At), c.x(l.At), height, l.Term, seconds(l.At), l.Index)
	}
	fmt.Fprintf(&b, `<line class="axis" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/>`, left, right, height, height)
	step := tick(c.until)
	for at := time.Duration(0); at <= c.until; at += step {
		fmt.Fprintf(&b, `<text class="scale" x="%.1f" y="%.1f" text-anchor="middle">%gs</text>`, c.x(at), height+13, at.Seconds())
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// tick is a round distance of the marks on the axis of time: about ten of them.
func tick(until time.Duration) time.Duration {
	for _, s := range []time.Duration{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800} {
		if until <= 12*s*time.Second {
			return s * time.Second
		}
	}
	return time.Hour
}

// logLeast is the bottom of a logarithmic scale, in seconds.
const logLeast = 0.0001

// line draws values of the slices of the run; a negative one breaks the line.
func (c *canvas) line(class, title string, values []float64, width time.Duration, y plot.Scale) string {
	points := make([]plot.Point, len(values))
	for i, v := range values {
		points[i] = plot.Point{X: float64(time.Duration(i)*width + width/2), Y: v}
		if v < 0 {
			points[i].Y = math.NaN()
		}
	}
	return plot.Path(class, title, c.scale(), y, points)
}

func marks(y plot.Scale, values map[float64]string) string {
	var b strings.Builder
	for v, label := range values {
		b.WriteString(plot.Grid(left, right, y, v, label))
	}
	return b.String()
}
