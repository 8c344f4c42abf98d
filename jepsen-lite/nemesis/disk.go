package nemesis

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/site"
)

func init() {
	register(Nemesis{
		Name: "disk-slow", About: "every write of a node's disk takes 20 to 200 ms longer; mostly the leader's", Least: time.Second, Most: 5 * time.Second, Inside: true,
		Strike: slowDisk,
	})
	register(Nemesis{
		Name: "disk-hang", About: "a node's disk stops to answer writes: it has to give itself up, and is started again; mostly the leader", Least: time.Second, Most: 3 * time.Second, Inside: true,
		Strike: breakDisk(inside.Hang),
	})
	register(Nemesis{
		Name: "disk-error", About: "a node's disk fails with EIO: it has to give itself up, and is started again; mostly the leader", Least: 500 * time.Millisecond, Most: 2 * time.Second, Inside: true,
		Strike: breakDisk(inside.Error),
	})
	register(Nemesis{
		Name: "disk-full", About: "the disks of some nodes, or of all, are full: they give up, are started on the full disk, and again when there is room", Least: time.Second, Most: 3 * time.Second, Inside: true,
		Strike: fillDisks,
	})
}

// slowDisk makes one node's disk slow. Where many writes make up one flush, that may take as long as a disk
// that hangs: the node may stop, and is started again.
func slowDisk(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	n, err := leaderOrAny(ctx, s, r)
	if err != nil {
		return "", nil, err
	}
	delay := 20*time.Millisecond + time.Duration(r.Int64N(int64(180*time.Millisecond)))
	o := inside.Order{Disk: inside.Disk{Does: inside.Slow, Log: true, State: true, Delay: delay}}
	n.Process.Expect(true)
	before, err := give(ctx, n, o)
	if err != nil {
		return "", nil, err
	}
	return n.ID + " " + o.String(), func(ctx context.Context) (string, error) {
		code := n.Process.ExitCode()
		if code < 0 {
			after, err := give(ctx, n, inside.Order{})
			if err == nil {
				n.Process.Expect(false)
				if slowed := after.Minus(before).Slowed; slowed > 0 {
					return fmt.Sprintf("%d writes were slow", slowed), nil
				}
				return "", nil
			}
			patience, cancel := context.WithTimeout(ctx, dyingPatience)
			defer cancel()
			if code = awaitEnd(patience, n); code < 0 {
				return "", err
			}
		}
		if code != cluster.ExitLogStore && code != cluster.ExitStateStore {
			return "", fmt.Errorf("node %s ended with %d of a slow disk: see %s", n.ID, code, n.Log)
		}
		return fmt.Sprintf("%s took it for a disk that hangs, and stopped with %d", n.ID, code), s.StartNode(n)
	}, nil
}

// breakDisk makes one node's disk fail: below the log, the state, or both.
func breakDisk(does inside.Behaviour) strike {
	return func(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
		n, err := leaderOrAny(ctx, s, r)
		if err != nil {
			return "", nil, err
		}
		part := 1 + r.IntN(3)
		o := inside.Order{Disk: inside.Disk{Does: does, Log: part&1 != 0, State: part&2 != 0}}
		n.Process.Expect(true)
		if err := doom(ctx, n, o); err != nil {
			return "", nil, err
		}
		return n.ID + " " + o.String(), deadly(s, map[*site.Node]inside.Order{n: o}, func(_ context.Context, n *site.Node) error { return s.StartNode(n) }), nil
	}
}

// fillDisks fills the disks of one to all nodes. A node that has stopped of it is first started on the full
// disk, as a supervisor would do: it may only say so and end. Then there is room again.
func fillDisks(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	o := inside.Order{Disk: inside.Disk{Does: inside.Full, Log: true, State: true}}
	orders := map[*site.Node]inside.Order{}
	first, err := leaderOrAny(ctx, s, r)
	if err != nil {
		return "", nil, err
	}
	orders[first] = o
	for _, i := range r.Perm(len(s.Nodes))[:r.IntN(len(s.Nodes)+1)] {
		orders[s.Nodes[i]] = o
	}
	var ids []string
	for _, n := range s.Nodes {
		if _, ok := orders[n]; !ok {
			continue
		}
		ids = append(ids, n.ID)
		n.Process.Expect(true)
		if err := doom(ctx, n, o); err != nil {
			return "", nil, err
		}
	}
	return strings.Join(ids, "+"), deadly(s, orders, func(ctx context.Context, n *site.Node) error {
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if err := s.StartNode(n, "--"+inside.FirstFlag, string(text)); err != nil {
			return err
		}
		n.Process.Expect(true)
		patience, cancel := context.WithTimeout(ctx, dyingPatience)
		defer cancel()
		switch awaitEnd(patience, n) {
		case -1: // it found nothing to write: it lives, and now there is room
			return spare(ctx, n)
		case 0:
			return fmt.Errorf("node %s, started on a full disk, ended as if all were well: see %s", n.ID, n.Log)
		}
		return s.StartNode(n)
	}), nil
}
