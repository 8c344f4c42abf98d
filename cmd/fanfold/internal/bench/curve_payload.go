package bench

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

const keyMiB = "payload_mib_per_s"

// payloadCurve is what larger inputs cost. 256 KiB is the largest that travels in one piece.
var payloadCurve = &curve{
	name: "payload", title: "Size of a task's input",
	below: "Clients submit one task each and wait for its result; the input is text that does not compress.",
	axis:  plot.Axis{Label: "bytes of input", Log: true, Format: plot.Bytes},
	panels: append(usualPanels[:4:4],
		panel{label: "input (MiB/s)", keys: []string{keyMiB}, names: []string{"MiB/s"}}),
	to: 256 << 10, bound: 3 * time.Minute, sizes: from(100, 4),
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		return func(ctx context.Context, m *machine, x float64) (Values, error) {
			f, err := m.fleet(ctx, one(map[string]int{"default": m.Clients}))
			if err != nil {
				return nil, err
			}
			defer f.end()
			values, err := m.loop(ctx, m.Clients, int(x), plain)
			if err == nil {
				values[keyMiB] = values[keyRate] * x / (1 << 20)
			}
			return values, err
		}
	},
}
