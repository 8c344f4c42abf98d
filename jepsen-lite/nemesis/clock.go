package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func init() {
	register(Nemesis{
		Name: "clock-offset", About: "every node's wall clock is wrong by up to a minute, each by another amount", Least: time.Second, Most: 5 * time.Second, Inside: true,
		Strike: ordered(func(_ context.Context, s *site.Site, r *rand.Rand) (map[*site.Node]inside.Order, error) {
			orders := map[*site.Node]inside.Order{}
			for _, n := range s.Nodes {
				orders[n] = clock(inside.Clock{Offset: time.Duration(r.Int64N(int64(2*time.Minute))) - time.Minute})
			}
			return orders, nil
		}, misread, "readings of wrong clocks"),
	})
	register(Nemesis{
		Name: "clock-jump", About: "a node's wall clock jumps an hour ahead or back, and returns later: the leader's, or that of a node that is made the leader then", Least: time.Second, Most: 4 * time.Second, Inside: true,
		Strike: jumpClock,
	})
	register(Nemesis{
		Name: "clock-freeze", About: "a node's wall clock stands still; mostly the leader's", Least: 2 * time.Second, Most: 6 * time.Second, Inside: true,
		Strike: ordered(func(ctx context.Context, s *site.Site, r *rand.Rand) (map[*site.Node]inside.Order, error) {
			n, err := leaderOrAny(ctx, s, r)
			return map[*site.Node]inside.Order{n: clock(inside.Clock{Frozen: true})}, err
		}, misread, "readings of a clock that stood still"),
	})
	register(Nemesis{
		Name: "drop-replies", About: "a third of the replies of every node's API are replaced by a broken connection; the calls were carried out", Least: time.Second, Most: 4 * time.Second, Inside: true,
		Strike: ordered(func(_ context.Context, s *site.Site, _ *rand.Rand) (map[*site.Node]inside.Order, error) {
			orders := map[*site.Node]inside.Order{}
			for _, n := range s.Nodes {
				orders[n] = inside.Order{DropReplies: 0.3}
			}
			return orders, nil
		}, func(e inside.Effects) int64 { return e.Dropped }, "replies were dropped"),
	})
}

// jumpClock chooses the leader, whose clock stamps what is decided, or another node, to which it hands the leadership
// over: a leader follows a clock that jumps for half a second at most, but it begins with the one that it has.
func jumpClock(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	n, err := s.AwaitLeader(ctx)
	if err != nil {
		return "", nil, err
	}
	other := r.IntN(3) == 0
	if other {
		n = s.Nodes[r.IntN(len(s.Nodes))]
	}
	hour := time.Hour
	if r.IntN(2) == 0 {
		hour = -hour
	}
	target, heal, err := ordered(func(context.Context, *site.Site, *rand.Rand) (map[*site.Node]inside.Order, error) {
		return map[*site.Node]inside.Order{n: clock(inside.Clock{Offset: hour})}, nil
	}, misread, "readings of a clock that had jumped")(ctx, s, r)
	if err != nil || !other {
		return target, heal, err
	}
	handed, err := handOver(ctx, s, n)
	if err != nil {
		return "", nil, errors.Join(err, lift(ctx, n))
	}
	return target + handed, heal, nil
}

// handOver makes a node the leader, if it can be, and says so.
func handOver(ctx context.Context, s *site.Site, to *site.Node) (string, error) {
	from, err := s.AwaitLeader(ctx)
	if err != nil || from == to {
		return "", err
	}
	api, err := s.API(from)
	if err != nil {
		return "", err
	}
	if _, err = api.TransferLeadership(ctx, connect.NewRequest(&apiv1.TransferLeadershipRequest{To: to.ID})); err != nil {
		var answered *connect.Error
		if errors.As(err, &answered) {
			return ", which was not made the leader", nil
		}
		return "", err
	}
	return ", which was made the leader", nil
}

func lift(ctx context.Context, n *site.Node) error {
	_, err := give(ctx, n, inside.Order{})
	return err
}

func clock(c inside.Clock) inside.Order { return inside.Order{Clock: c} }

func misread(e inside.Effects) int64 { return e.Misread }
