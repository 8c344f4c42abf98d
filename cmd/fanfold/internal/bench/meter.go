package bench

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk/api/v1"
)

// meterEvery is how often a meter looks at the sizes of the nodes.
const meterEvery = 100 * time.Millisecond

// meter watches the nodes while a point is measured: their largest sizes, and log and processor time for
// each task that ends.
type meter struct {
	m         *machine
	before    *apiv1.ClusterStatusResponse
	cpu       float64
	stop      context.CancelFunc
	done      chan struct{}
	rss, anon float64
}

func (m *machine) meter(ctx context.Context) (*meter, error) {
	before, err := m.status(ctx)
	if err != nil {
		return nil, err
	}
	t := &meter{m: m, before: before, cpu: m.cpu(), done: make(chan struct{}), rss: -1, anon: -1}
	ctx, t.stop = context.WithCancel(ctx)
	go t.watch(ctx)
	return t, nil
}

func (t *meter) watch(ctx context.Context) {
	defer close(t.done)
	ticker := time.NewTicker(meterEvery)
	defer ticker.Stop()
	for {
		t.rss, t.anon = max(t.rss, t.m.rss("VmRSS")), max(t.anon, t.m.rss("RssAnon"))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// read ends the meter and adds what it has seen.
func (t *meter) read(ctx context.Context, values Values) error {
	t.stop()
	<-t.done
	after, err := t.m.status(ctx)
	if err != nil {
		return err
	}
	if t.rss >= 0 {
		values[keyRSS], values[keyAnon] = t.rss, t.anon
	}
	tasks := float64(after.GetCounters().GetCompletions() - t.before.GetCounters().GetCompletions())
	if tasks == 0 {
		return nil
	}
	if logged := after.GetLogBytes() - t.before.GetLogBytes(); after.GetLogBytes() > t.before.GetLogBytes() {
		values[keyLog] = float64(logged) / tasks
	}
	if cpu := t.m.cpu() - t.cpu; readable() && cpu > 0 {
		values[keyCPU] = cpu / tasks * 1e6
	}
	return nil
}

// status is that of the node that led when the machine was made.
func (m *machine) status(ctx context.Context) (*apiv1.ClusterStatusResponse, error) {
	answer, err := m.cluster.Remote().At(m.leader.API).ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}
