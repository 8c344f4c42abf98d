package bench

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/sdk"
)

const (
	keyDisk    = "data_directory_mib"
	keyRestart = "restart_s"
	keyFill    = "fill_mib_per_s"

	// fillBytes is the input of the tasks that make the state large.
	fillBytes = 32 << 10
)

// stateCurve is what a large state costs those who do not touch it, and the start of a node.
var stateCurve = &curve{
	name: "state", title: "Size of the state",
	below: "Tasks with inputs of 32 KiB that do not compress wait in a queue that nobody serves, until there are so many bytes. Then one small task for each client at a time.",
	axis:  plot.Axis{Label: "bytes of inputs in the state", Log: true, Format: plot.Bytes},
	panels: append(usualPanels[:4:4],
		panel{label: "from kill -9 of the leader until it has all again (s)", keys: []string{keyRestart}, names: []string{"restart"}},
		panel{label: "data directory of a node (MiB)", keys: []string{keyDisk}, names: []string{"MiB"}}),
	to: 5 << 30, bound: 12 * time.Minute, sizes: fromZero(64<<20, 4), together: true,
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		filled := 0
		return func(ctx context.Context, m *machine, x float64) (Values, error) {
			missing := int(x)/fillBytes - filled
			m.Note("state: submitting %d inputs of 32 KiB", missing)
			started := time.Now()
			if err := m.fill(ctx, missing, fillBytes, sdk.Queue("nobody")); err != nil {
				return nil, err
			}
			filled += missing
			filling := time.Since(started)
			values, err := m.statePoint(ctx)
			if err == nil && missing > 0 {
				values[keyFill] = rate(missing*fillBytes, filling) / (1 << 20)
			}
			return values, err
		}
	},
}

func (m *machine) statePoint(ctx context.Context) (Values, error) {
	f, err := m.fleet(ctx, one(map[string]int{"default": m.Clients}))
	if err != nil {
		return nil, err
	}
	values, err := m.loop(ctx, m.Clients, m.Payload, plain)
	if err != nil {
		_ = f.end()
		return nil, err
	}
	if err := f.end(); err != nil {
		return nil, err
	}
	values[keyDisk] = float64(sizeOf(m.leader.Data)) / (1 << 20)
	restart, err := m.restart(ctx)
	if err != nil {
		return nil, err
	}
	values[keyRestart] = restart.Seconds()
	return values, nil
}

// restart kills the leader and starts it again: the time until it has applied what was committed then,
// and the cluster has a leader.
func (m *machine) restart(ctx context.Context) (time.Duration, error) {
	before, err := m.status(ctx)
	if err != nil {
		return 0, err
	}
	node := m.leader
	node.Process.Kill()
	started := time.Now()
	if err := m.cluster.Start(node); err != nil {
		return 0, err
	}
	for {
		if s, err := m.cluster.StatusAt(ctx, node.API); err == nil && s.GetAppliedIndex() >= before.GetCommitIndex() && s.GetLeaderId() != "" {
			break
		}
		if err := m.cluster.Crashed(); err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the killed node has not come back: %w", context.Cause(ctx))
		case <-time.After(lookEvery):
		}
	}
	took := time.Since(started)
	m.leader, err = m.cluster.AwaitLeader(ctx)
	return took, err
}

// sizeOf is how many bytes the files below a directory have. What vanishes meanwhile is not counted.
func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
