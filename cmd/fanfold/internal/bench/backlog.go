package bench

import (
	"context"
	"time"
)

const smallBacklog = 10_000

// backlog measures whether a large backlog costs memory or speed: the drain of 10,000 tasks alone,
// and of as many with the rest of a large backlog behind them.
func backlog(ctx context.Context, m *machine) ([]Value, error) {
	tasks := m.Tasks
	if tasks == 0 {
		tasks = 1_000_000
	}
	if err := preload(ctx, m, 0, smallBacklog); err != nil {
		return nil, err
	}
	alone, err := m.drainAll(ctx, smallBacklog)
	if err != nil {
		return nil, err
	}
	if err := m.idle(); err != nil {
		return nil, err
	}
	m.Note("submitting %d tasks", tasks)
	started := time.Now()
	if err := preload(ctx, m, smallBacklog, tasks); err != nil {
		return nil, err
	}
	submitting := time.Since(started)
	waiting, anonymous := m.rss("VmRSS"), m.rss("RssAnon")
	m.Note("draining")
	first, err := m.drainAll(ctx, 2*smallBacklog)
	if err != nil {
		return nil, err
	}
	started = time.Now()
	if err := m.awaitSucceeded(ctx, uint64(smallBacklog+tasks)); err != nil {
		return nil, err
	}
	rest := time.Since(started)
	return []Value{
		{"drain of 10,000, nothing else waiting", rate(smallBacklog, alone), "tasks/s"},
		{"submit of the backlog", rate(tasks, submitting), "tasks/s"},
		{"drain of 10,000, the backlog behind them", rate(smallBacklog, first), "tasks/s"},
		{"drain of the rest", rate(max(tasks-smallBacklog, 1), rest), "tasks/s"},
		{"resident size with the backlog waiting", waiting, "MiB"},
		{"of that, without pages of files (the log is mapped)", anonymous, "MiB"},
	}, nil
}

// rss is a resident size of the largest node now, in MiB.
func (m *machine) rss(field string) float64 {
	most := int64(-1)
	for _, node := range m.cluster.Nodes {
		most = max(most, rssOf(node.Process.PID(), field))
	}
	return float64(most) / (1 << 20)
}
