// Package plot draws SVG: scales, lines and marks for the pictures of a report, and whole figures that
// stand alone (Figure). Whatever comes from outside is escaped by Text.
package plot

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Text escapes what goes between tags, or into an attribute.
func Text(s string) string { return html.EscapeString(s) }

// Scale maps values to places on a picture: From is at Begin and To at End, in the units of the view box.
// What lies outside is drawn at the edge.
type Scale struct {
	From, To   float64
	Begin, End float64
	Log        bool // From is above 0
}

// At is the place of a value.
func (s Scale) At(v float64) float64 {
	part := 0.0
	switch {
	case s.To <= s.From:
	case s.Log && v > 0:
		part = math.Log(v/s.From) / math.Log(s.To/s.From)
	case !s.Log:
		part = (v - s.From) / (s.To - s.From)
	}
	return s.Begin + min(max(part, 0), 1)*(s.End-s.Begin)
}

// Ticks are round values inside the scale, about n of them: powers of ten where a logarithmic one has
// room for three, or 1, 2 and 5 times them; else values in equal steps of 1, 2 or 5 times a power of ten.
func (s Scale) Ticks(n int) []float64 {
	if s.Log {
		for _, times := range [][]float64{{1}, {1, 2, 5}} {
			if all := s.powers(n, times); len(all) >= 3 {
				return all
			}
		}
	}
	step := math.Pow(10, math.Floor(math.Log10((s.To-s.From)/float64(n))))
	for _, times := range []float64{1, 2, 5, 10} {
		if (s.To-s.From)/(step*times) <= float64(n) {
			step *= times
			break
		}
	}
	var all []float64
	for i := int(math.Ceil(s.From/step - 1e-9)); float64(i)*step <= s.To*(1+1e-9); i++ { // an int has no -0
		if v := float64(i) * step; !s.Log || v > 0 {
			all = append(all, v)
		}
	}
	return all
}

// powers are the powers of ten in the scale, and times of them; every second or third power where there
// are too many.
func (s Scale) powers(n int, times []float64) (all []float64) {
	first, last := math.Floor(math.Log10(s.From)), math.Floor(math.Log10(s.To)+1e-9)
	apart := math.Max(1, math.Ceil((last-first)/float64(n)))
	for e := first; e <= last; e += apart {
		for _, t := range times {
			if v := t * math.Pow(10, e); v >= s.From*(1-1e-9) && v <= s.To*(1+1e-9) {
				all = append(all, v)
			}
		}
	}
	return all
}

// Point is a value of a line. A Y that is no number breaks the line.
type Point struct{ X, Y float64 }

// Path draws a line through points.
func Path(class, title string, x, y Scale, points []Point) string {
	var b strings.Builder
	pen := "M"
	for _, p := range points {
		if math.IsNaN(p.Y) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, x.At(p.X), y.At(p.Y))
		if pen == "M" {
			b.WriteString("h0.1") // a point that stands alone is seen
		}
		pen = "L"
	}
	return fmt.Sprintf(`<path class="%s" d="%s"><title>%s</title></path>`, class, b.String(), Text(title))
}

// Grid draws a horizontal line with its label at a value.
func Grid(left, right float64, y Scale, v float64, label string) string {
	return fmt.Sprintf(`<line class="grid" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/><text class="scale" x="%.0f" y="%.1f" text-anchor="end">%s</text>`,
		left, right, y.At(v), y.At(v), left-6, y.At(v)+4, Text(label))
}

// Legend says what a line of a class is.
func Legend(class, label string, x, y float64) string {
	return fmt.Sprintf(`<path class="%s" d="M%.0f %.0fh18"/><text class="scale" x="%.0f" y="%.0f">%s</text>`, class, x, y, x+23, y+4, Text(label))
}
