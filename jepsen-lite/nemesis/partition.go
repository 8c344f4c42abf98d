package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/netem"
	"github.com/fanfold/fanfold/jepsen-lite/site"
)

func init() {
	register(Nemesis{
		Name: "partition-one", About: "cut a random node off from everybody, clients and workers too", Least: time.Second, Most: 4 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			return cut(s, []string{s.Nodes[r.IntN(len(s.Nodes))].ID}, s.Hosts(), both)
		},
	})
	register(Nemesis{
		Name: "partition-leader", About: "cut the leader off from the other nodes; clients and workers still reach it", Least: time.Second, Most: 4 * time.Second,
		Strike: func(ctx context.Context, s *site.Site, _ *rand.Rand) (string, func(context.Context) (string, error), error) {
			n, err := s.AwaitLeader(ctx)
			if err != nil {
				return "", nil, err
			}
			return cut(s, []string{n.ID}, nodeIDs(s), both)
		},
	})
	register(Nemesis{
		Name: "partition-half", About: "cut the nodes into a minority and a majority at random; the rest of the world reaches both", Least: time.Second, Most: 4 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			ids := nodeIDs(s)
			r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			return cut(s, ids[:len(ids)/2], nodeIDs(s), both)
		},
	})
	register(Nemesis{
		Name: "one-way-in", About: "a random node sends to the other nodes and hears nothing of them", Least: time.Second, Most: 4 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			return cut(s, []string{s.Nodes[r.IntN(len(s.Nodes))].ID}, nodeIDs(s), in)
		},
	})
	register(Nemesis{
		Name: "one-way-out", About: "a random node hears the other nodes, which hear nothing of it", Least: time.Second, Most: 4 * time.Second,
		Strike: func(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
			return cut(s, []string{s.Nodes[r.IntN(len(s.Nodes))].ID}, nodeIDs(s), out)
		},
	})
}

func nodeIDs(s *site.Site) []string {
	var ids []string
	for _, n := range s.Nodes {
		ids = append(ids, n.ID)
	}
	return ids
}

// ways of a cut: what the isolated hear, what they send.
const (
	in   = 1
	out  = 2
	both = in | out
)

// cut separates some hosts from the others of a world.
func cut(s *site.Site, isolated, world []string, ways int) (string, func(context.Context) (string, error), error) {
	var cuts links
	for _, a := range isolated {
		for _, b := range world {
			if slices.Contains(isolated, b) {
				continue
			}
			if ways&out != 0 {
				cuts = append(cuts, [2]string{a, b})
			}
			if ways&in != 0 {
				cuts = append(cuts, [2]string{b, a})
			}
		}
	}
	return cuts.strike(s, strings.Join(isolated, "+"), netem.Fault{Cut: true})
}

func held(s *site.Site, all links) (n int64) {
	for _, l := range all {
		n += s.Net.Held(l[0], l[1])
	}
	return n
}
