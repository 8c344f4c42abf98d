package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/jepsen-lite/site"
)

func init() {
	register(Nemesis{
		Name: "pause-leader", About: "SIGSTOP the leader beyond the election timeout, then SIGCONT", Least: time.Second, Most: 6 * time.Second,
		Strike: func(ctx context.Context, s *site.Site, _ *rand.Rand) (string, func(context.Context) (string, error), error) {
			n, err := s.AwaitLeader(ctx)
			if err != nil {
				return "", nil, err
			}
			return pause(n.ID, n.Process)
		},
	})
	register(Nemesis{
		Name: "pause-one", About: "SIGSTOP a random node beyond the election timeout, then SIGCONT", Least: time.Second, Most: 6 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			n := s.Nodes[r.IntN(len(s.Nodes))]
			return pause(n.ID, n.Process)
		},
	})
	register(Nemesis{
		Name: "pause-worker", About: "SIGSTOP a random worker beyond its lease, then SIGCONT", Least: 2 * time.Second, Most: 6 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			w := s.Workers[r.IntN(len(s.Workers))]
			return pause(w.ID, w.Process)
		},
	})
}

func pause(id string, p *child.Process) (string, func(context.Context) (string, error), error) {
	began := time.Now()
	if err := p.Freeze(); err != nil {
		return "", nil, err
	}
	return id, func(context.Context) (string, error) {
		return fmt.Sprintf("process %d stood still for %v", p.PID(), time.Since(began).Round(time.Millisecond)), p.Thaw()
	}, nil
}
