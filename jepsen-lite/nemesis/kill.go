package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/site"
)

func init() {
	register(Nemesis{
		Name: "kill-leader", About: "SIGKILL the leader, start it again later", Least: 300 * time.Millisecond, Most: 3 * time.Second,
		Strike: func(ctx context.Context, s *site.Site, _ *rand.Rand) (string, func(context.Context) (string, error), error) {
			n, err := s.AwaitLeader(ctx)
			if err != nil {
				return "", nil, err
			}
			return killNode(s, n)
		},
	})
	register(Nemesis{
		Name: "kill-one", About: "SIGKILL a random node, start it again later", Least: 300 * time.Millisecond, Most: 3 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			return killNode(s, s.Nodes[r.IntN(len(s.Nodes))])
		},
	})
	register(Nemesis{
		Name: "kill-all", About: "SIGKILL every node at once, start all again later", Least: 200 * time.Millisecond, Most: time.Second,
		Strike: killAll,
	})
	register(Nemesis{
		Name: "kill-worker", About: "SIGKILL a random worker, start it again later", Least: 300 * time.Millisecond, Most: 3 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			w := s.Workers[r.IntN(len(s.Workers))]
			pid := w.Process.PID()
			w.Process.Kill()
			return w.ID, func(context.Context) (string, error) {
				return fmt.Sprintf("process %d was killed", pid), s.StartWorker(w)
			}, nil
		},
	})
}

func killNode(s *site.Site, n *site.Node) (string, func(context.Context) (string, error), error) {
	pid := n.Process.PID()
	n.Process.Kill()
	return n.ID, func(context.Context) (string, error) {
		return fmt.Sprintf("process %d was killed", pid), s.StartNode(n)
	}, nil
}

func killAll(_ context.Context, s *site.Site, _ *rand.Rand) (string, func(context.Context) (string, error), error) {
	for _, n := range s.Nodes {
		n.Process.Kill()
	}
	return "all nodes", func(context.Context) (string, error) {
		for _, n := range s.Nodes {
			if err := s.StartNode(n); err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("%d processes were killed", len(s.Nodes)), nil
	}, nil
}
