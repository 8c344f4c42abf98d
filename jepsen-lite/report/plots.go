package report

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/plot"
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
			c.x(f.Begin), rows[f.Nemesis]+2, max(2, c.x(f.End)-c.x(f.Begin)), rowHeight-4, plot.Text(f.Nemesis), plot.Text(f.Target), seconds(f.Begin), seconds(f.End), plot.Text(f.Effect))
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
	fmt.Fprintf(b, `<text class="scale" x="%.0f" y="%.1f" text-anchor="end">%s</text>`, left-6, y+rowHeight-4, plot.Text(s))
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
				c.x(op.Begin), y+2, max(1, c.x(op.End)-c.x(op.Begin)), rowHeight-4, plot.Text(op.Kind), plot.Text(op.Key), seconds(op.Begin), seconds(op.End), op.Outcome, plot.Text(short(op.Error)))
		}
	}
}

// toldMax bounds how many operations of a client say more when the mouse is over them.
const toldMax = 100

func (c *canvas) throughput(ops []history.Op, width time.Duration) template.HTML {
	const height = 160
	y := plot.Scale{Begin: height, End: headroom}
	kinds := timeline.Kinds(ops)
	rates := map[string][]timeline.Rate{}
	for _, kind := range kinds {
		rates[kind] = timeline.Rates(ops, kind, width, c.until)
		for _, r := range rates[kind] {
			y.To = max(y.To, float64(r.OK)/width.Seconds())
		}
	}
	if y.To == 0 {
		y.To = 1
	}
	b := marks(y, map[float64]string{0: "0", y.To / 2: fmt.Sprintf("%.0f/s", y.To/2), y.To: fmt.Sprintf("%.0f/s", y.To)})
	for i, kind := range kinds {
		var values []float64
		for _, r := range rates[kind] {
			values = append(values, float64(r.OK)/width.Seconds())
		}
		class := fmt.Sprintf("line k%d", i%lineColors)
		b += c.line(class, kind, values, width, y) + legend(class, kind, i)
	}
	return c.frame(height, b)
}

// lineColors is how many the page has.
const lineColors = 6

func legend(class, label string, i int) string {
	return plot.Legend(class, label, left+12+float64(i)*110, 10)
}

func (c *canvas) latency(ops []history.Op, kind string, width time.Duration) template.HTML {
	const height = 140
	y := plot.Scale{From: logLeast, To: 0.01, Begin: height, End: headroom, Log: true}
	rates := timeline.Rates(ops, kind, width, c.until)
	for _, r := range rates {
		y.To = max(y.To, r.Max.Seconds())
	}
	labels := map[float64]string{}
	for _, v := range []float64{0.001, 0.01, 0.1, 1, 10} {
		if v <= y.To {
			labels[v] = seconds(time.Duration(v * float64(time.Second)))
		}
	}
	b := marks(y, labels)
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
		b += c.line(class, l.label, values, width, y) + legend(class, l.label, i)
	}
	return c.frame(height, b)
}

func short(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + " …"
	}
	return s
}
