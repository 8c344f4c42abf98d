package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func init() {
	register(Nemesis{
		Name: "rolling-restart", About: "stop one node after the other as an upgrade does, and start it again", Least: 10 * time.Millisecond, Most: 100 * time.Millisecond,
		Strike: rollingRestart,
	})
	register(Nemesis{
		Name: "transfer", About: "hand leadership over to another node", Least: 10 * time.Millisecond, Most: 500 * time.Millisecond,
		Strike: transfer,
	})
	register(Nemesis{
		Name: "restart-worker", About: "stop a random worker as a deploy does: it hands back what it holds", Least: 100 * time.Millisecond, Most: time.Second,
		Strike: func(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			w := s.Workers[r.IntN(len(s.Workers))]
			err := stop(ctx, w.Process)
			return w.ID, func(context.Context) (string, error) { return "it stopped by itself", s.StartWorker(w) }, err
		},
	})
}

// politePatience is how long a process may take to stop when it is asked to.
const politePatience = 20 * time.Second

func stop(ctx context.Context, p *child.Process) error {
	ctx, cancel := context.WithTimeout(ctx, politePatience)
	defer cancel()
	return p.Stop(ctx)
}

func rollingRestart(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	var order []string
	for _, i := range r.Perm(len(s.Nodes)) {
		n := s.Nodes[i]
		order = append(order, n.ID)
		if err := stop(ctx, n.Process); err != nil {
			return "", nil, err
		}
		if err := s.StartNode(n); err != nil {
			return "", nil, err
		}
		if _, err := s.AwaitLeader(ctx); err != nil {
			return "", nil, err
		}
	}
	return strings.Join(order, ","), func(context.Context) (string, error) {
		return fmt.Sprintf("%d nodes were restarted", len(order)), nil
	}, nil
}

func transfer(ctx context.Context, s *site.Site, _ *rand.Rand) (string, func(context.Context) (string, error), error) {
	from, err := s.AwaitLeader(ctx)
	if err != nil {
		return "", nil, err
	}
	api, err := s.API(from)
	if err != nil {
		return "", nil, err
	}
	_, err = api.TransferLeadership(ctx, connect.NewRequest(&apiv1.TransferLeadershipRequest{}))
	var answered *connect.Error
	if err != nil && !errors.As(err, &answered) {
		return "", nil, err
	}
	return from.ID, func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, politePatience)
		defer cancel()
		to, err := s.AwaitLeader(ctx)
		if err != nil || to == from {
			return "", err
		}
		return to.ID + " leads", nil
	}, nil
}
