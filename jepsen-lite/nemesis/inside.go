package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/site"
)

// StallTimeout is when the nodes of a run with faults inside take a disk for dead.
const StallTimeout = 3 * time.Second

// orderPatience bounds how long a node may take to take an order.
const orderPatience = 10 * time.Second

// strike is what a Strike function is made of here.
type strike = func(context.Context, *site.Site, *rand.Rand) (string, func(context.Context) (string, error), error)

// leaderOrAny chooses the leader twice as often as one of the nodes at random.
func leaderOrAny(ctx context.Context, s *site.Site, r *rand.Rand) (*site.Node, error) {
	if r.IntN(3) == 0 {
		return s.Nodes[r.IntN(len(s.Nodes))], nil
	}
	return s.AwaitLeader(ctx)
}

// ordered gives orders to some nodes and lifts them later. Its effect is what count finds in what each of
// them met with meanwhile.
func ordered(choose func(context.Context, *site.Site, *rand.Rand) (map[*site.Node]inside.Order, error), count func(inside.Effects) int64, what string) strike {
	return func(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
		orders, err := choose(ctx, s, r)
		if err != nil {
			return "", nil, err
		}
		before := map[*site.Node]inside.Effects{}
		var targets []string
		for _, n := range s.Nodes {
			o, ok := orders[n]
			if !ok {
				continue
			}
			if before[n], err = give(ctx, n, o); err != nil {
				return "", nil, err
			}
			targets = append(targets, n.ID+" "+o.String())
		}
		return strings.Join(targets, ", "), func(ctx context.Context) (string, error) {
			var total int64
			for n := range orders {
				after, err := give(ctx, n, inside.Order{})
				if err != nil {
					return "", err
				}
				total += count(after.Minus(before[n]))
			}
			if total == 0 {
				return "", nil
			}
			return fmt.Sprintf("%d %s", total, what), nil
		}, nil
	}
}

func give(ctx context.Context, n *site.Node, o inside.Order) (inside.Effects, error) {
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	return inside.Give(ctx, n.Faults, o)
}

// doom gives an order that a node may die of before it can say that it has taken it.
func doom(ctx context.Context, n *site.Node, o inside.Order) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-n.Process.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := give(ctx, n, o)
	if err != nil && n.Process.ExitCode() >= 0 {
		return nil
	}
	return err
}

// deadly gives an order that ends processes: of a disk that does not write, a node stops by itself, with an
// exit code that says so. It is then started again, with further orders or on a healthy machine.
func deadly(s *site.Site, orders map[*site.Node]inside.Order, again func(context.Context, *site.Node) error) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var seen []string
		patience, cancel := context.WithTimeout(ctx, dyingPatience) // for all together
		defer cancel()
		for _, n := range s.Nodes {
			o, ok := orders[n]
			if !ok {
				continue
			}
			code := awaitEnd(patience, n)
			switch {
			case code == cluster.ExitLogStore && o.Disk.Log, code == cluster.ExitStateStore && o.Disk.State:
				seen = append(seen, fmt.Sprintf("%s stopped with %d", n.ID, code))
			case code >= 0:
				return "", fmt.Errorf("node %s ended with %d of a disk that should have made it end with %d or %d: see %s", n.ID, code, cluster.ExitLogStore, cluster.ExitStateStore, n.Log)
			default: // nothing was written
				if err := spare(ctx, n); err != nil {
					return "", err
				}
				continue
			}
			if err := again(ctx, n); err != nil {
				return "", err
			}
		}
		return strings.Join(seen, ", "), nil
	}
}

// dyingPatience is how long a node may take to notice that its disk is dead.
const dyingPatience = StallTimeout + 2*time.Second

// awaitEnd waits for the end of a node's process and returns its exit code; -1 when patience ends first.
func awaitEnd(patience context.Context, n *site.Node) int {
	select {
	case <-n.Process.Done():
	case <-patience.Done():
	}
	return n.Process.ExitCode()
}

// spare makes the disk of a node well that has not noticed anything.
func spare(ctx context.Context, n *site.Node) error {
	_, err := give(ctx, n, inside.Order{})
	n.Process.Expect(false)
	return err
}
