package nemesis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/site"
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
		Name: "clock-jump", About: "a node's wall clock jumps an hour ahead or back, and returns later; mostly the leader's", Least: time.Second, Most: 4 * time.Second, Inside: true,
		Strike: ordered(func(ctx context.Context, s *site.Site, r *rand.Rand) (map[*site.Node]inside.Order, error) {
			n, err := leaderOrAny(ctx, s, r)
			hour := time.Hour
			if r.IntN(2) == 0 {
				hour = -hour
			}
			return map[*site.Node]inside.Order{n: clock(inside.Clock{Offset: hour})}, err
		}, misread, "readings of a clock that had jumped"),
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

func clock(c inside.Clock) inside.Order { return inside.Order{Clock: c} }

func misread(e inside.Effects) int64 { return e.Misread }
