package report

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

const rowHeight = 14.0

// rank orders outcomes by how much they matter in one column of the picture.
var rank = map[history.Outcome]int{history.OK: 1, history.Fail: 2, history.Unknown: 3}

// operations draws a row for each nemesis, and one for each client. Operations that share a column and an
// outcome become one rectangle, so that a picture stays small however many there are.
func (c *canvas) operations(ops []history.Op) template.HTML {
	var b strings.Builder
	y := 4.0
	rows := map[string]float64{}
	for _, f := range c.faults {
		if _, ok := rows[f.Nemesis]; !ok {
			rows[f.Nemesis] = y
			name(&b, f.Nemesis, y)
			y += rowHeight
		}
		fmt.Fprintf(&b, `<rect class="fault" x="%.1f" y="%.1f" width="%.1f" height="%.0f"><title>%s: %s, %s to %s; %s</title></rect>`,
			c.x(f.Begin), rows[f.Nemesis]+2, max(2, c.x(f.End)-c.x(f.Begin)), rowHeight-4, text(f.Nemesis), text(f.Target), seconds(f.Begin), seconds(f.End), text(f.Effect))
	}
	clients := map[string][]history.Op{}
	for _, op := range ops {
		clients[op.Client] = append(clients[op.Client], op)
	}
	for _, client := range slices.Sorted(maps.Keys(clients)) {
		name(&b, client, y)
		c.row(&b, clients[client], y)
		y += rowHeight
	}
	return c.frame(y, b.String())
}

func name(b *strings.Builder, s string, y float64) {
	fmt.Fprintf(b, `<text class="scale" x="%.0f" y="%.1f" text-anchor="end">%s</text>`, left-6, y+rowHeight-4, text(s))
}

func (c *canvas) row(b *strings.Builder, ops []history.Op, y float64) {
	worst := make([]history.Outcome, columns+1)
	for _, op := range ops {
		for x := int(c.x(op.Begin) - left); x <= int(c.x(op.End)-left); x++ {
			if rank[op.Outcome] > rank[worst[x]] {
				worst[x] = op.Outcome
			}
		}
	}
	for x := 0; x < len(worst); {
		end := x
		for end < len(worst) && worst[end] == worst[x] {
			end++
		}
		if worst[x] != "" {
			fmt.Fprintf(b, `<rect class="%s" x="%.0f" y="%.1f" width="%d" height="%.0f"/>`, worst[x], left+float64(x), y+2, end-x, rowHeight-4)
		}
		x = end
	}
	told := 0
	for _, op := range ops {
		if op.Outcome != history.OK && told < toldMax {
			told++
			fmt.Fprintf(b, `<rect class="tip" x="%.1f" y="%.1f" width="%.1f" height="%.0f"><title>%s %s, %s to %s: %s %s</title></rect>`,
				c.x(op.Begin), y+2, max(1, c.x(op.End)-c.x(op.Begin)), rowHeight-4, text(op.Kind), text(op.Key), seconds(op.Begin), seconds(op.End), op.Outcome, text(short(op.Error)))
		}
	}
}

// toldMax bounds how many operations of a client say more when the mouse is over them.
const toldMax = 100

func (c *canvas) throughput(ops []history.Op, width time.Duration) template.HTML {
	s := scale{height: 160}
	kinds := timeline.Kinds(ops)
	rates := map[string][]timeline.Rate{}
	for _, kind := range kinds {
		rates[kind] = timeline.Rates(ops, kind, width, c.until)
		for _, r := range rates[kind] {
			s.top = max(s.top, float64(r.OK)/width.Seconds())
		}
	}
	if s.top == 0 {
		s.top = 1
	}
	b := s.marks(map[float64]string{0: "0", s.top / 2: fmt.Sprintf("%.0f/s", s.top/2), s.top: fmt.Sprintf("%.0f/s", s.top)})
	for i, kind := range kinds {
		var values []float64
		for _, r := range rates[kind] {
			values = append(values, float64(r.OK)/width.Seconds())
		}
		class := fmt.Sprintf("line k%d", i%lineColors)
		b += c.line(class, kind, values, width, s) + legend(class, kind, i)
	}
	return c.frame(s.height, b)
}

// lineColors is how many the page has.
const lineColors = 6

func legend(class, label string, i int) string {
	x := left + 12 + float64(i)*110
	return fmt.Sprintf(`<path class="%s" d="M%.0f 10h18"/><text class="scale" x="%.0f" y="14">%s</text>`, class, x, x+23, text(label))
}

func (c *canvas) latency(ops []history.Op, kind string, width time.Duration) template.HTML {
	s := scale{height: 140, log: true, top: 0.01}
	rates := timeline.Rates(ops, kind, width, c.until)
	for _, r := range rates {
		s.top = max(s.top, r.Max.Seconds())
	}
	marks := map[float64]string{}
	for _, v := range []float64{0.001, 0.01, 0.1, 1, 10} {
		if v <= s.top {
			marks[v] = seconds(time.Duration(v * float64(time.Second)))
		}
	}
	b := s.marks(marks)
	for i, l := range []struct {
		label string
		of    func(timeline.Rate) time.Duration
	}{
		{"median", func(r timeline.Rate) time.Duration { return r.P50 }},
		{"99th percentile", func(r timeline.Rate) time.Duration { return r.P99 }},
		{"slowest", func(r timeline.Rate) time.Duration { return r.Max }},
	} {
		var values []float64
		for _, r := range rates {
			v := -1.0
			if r.OK > 0 {
				v = l.of(r).Seconds()
			}
			values = append(values, v)
		}
		class := fmt.Sprintf("line k%d", i)
		b += c.line(class, l.label, values, width, s) + legend(class, l.label, i)
	}
	return c.frame(s.height, b)
}

func short(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + " …"
	}
	return s
}
