package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/netem"
	"github.com/fanfold/fanfold/jepsen-lite/site"
)

func init() {
	register(Nemesis{
		Name: "bridge", About: "cut the nodes in two halves that only one node in the middle can reach", Least: time.Second, Most: 4 * time.Second,
		Strike: bridge,
	})
	register(Nemesis{
		Name: "ring", About: "every node reaches only its neighbours in a ring, so that majorities overlap (5 nodes or more; with 3 it is one cut link)", Least: time.Second, Most: 4 * time.Second,
		Strike: ring,
	})
	register(Nemesis{
		Name: "flap", About: "cut a random node off and heal it again, five times a second", Least: 2 * time.Second, Most: 4 * time.Second,
		Strike: flap,
	})
	register(Nemesis{
		Name: "slow-net", About: "delay everything between nodes by 75 ms, give or take 50", Least: 2 * time.Second, Most: 5 * time.Second,
		Strike: shaped(netem.Fault{Delay: 25 * time.Millisecond, Jitter: 100 * time.Millisecond}),
	})
	register(Nemesis{
		Name: "throttle", About: "32 KB a second between nodes", Least: 2 * time.Second, Most: 5 * time.Second,
		Strike: shaped(netem.Fault{BytesPerSecond: 32 << 10}),
	})
	register(Nemesis{
		Name: "reset", About: "break every connection of a random node with a reset", Least: 10 * time.Millisecond, Most: 100 * time.Millisecond,
		Strike: reset,
	})
}

// links are pairs of hosts, by direction.
type links [][2]string

func (all links) set(s *site.Site, f netem.Fault) {
	for _, l := range all {
		s.Net.Set(l[0], l[1], f)
	}
}

// strike puts a fault on links until it is healed; the effect is what they held back or forwarded meanwhile.
func (all links) strike(s *site.Site, target string, f netem.Fault) (string, func(context.Context) (string, error), error) {
	before := held(s, all)
	moved := forwarded(s, all)
	all.set(s, f)
	return target, func(context.Context) (string, error) {
		all.set(s, netem.Fault{})
		switch h := held(s, all) - before; {
		case h > 0:
			return fmt.Sprintf("%d bytes were held back", h), nil
		case f.BytesPerSecond > 0 && forwarded(s, all) > moved:
			return fmt.Sprintf("%d bytes went through at %d a second and link", forwarded(s, all)-moved, f.BytesPerSecond), nil
		}
		return "", nil
	}, nil
}

func forwarded(s *site.Site, all links) (n int64) {
	for _, l := range all {
		n += s.Net.Forwarded(l[0], l[1])
	}
	return n
}

func bridge(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	ids := nodeIDs(s)
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	middle, rest := ids[0], ids[1:]
	left, right := rest[:len(rest)/2], rest[len(rest)/2:]
	var cuts links
	for _, a := range left {
		for _, b := range right {
			cuts = append(cuts, [2]string{a, b}, [2]string{b, a})
		}
	}
	return cuts.strike(s, strings.Join(left, "+")+" "+middle+" "+strings.Join(right, "+"), netem.Fault{Cut: true})
}

func ring(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	ids := nodeIDs(s)
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	var cuts links
	for i := range ids {
		for j := range ids {
			// Of three, everybody is a neighbour of everybody: then the first and the last are not.
			far := (i-j+len(ids))%len(ids) > 1 && (j-i+len(ids))%len(ids) > 1
			if far || len(ids) == 3 && i+j == 2 && i != j {
				cuts = append(cuts, [2]string{ids[i], ids[j]})
			}
		}
	}
	return cuts.strike(s, strings.Join(ids, "-"), netem.Fault{Cut: true})
}

func shaped(f netem.Fault) func(context.Context, *site.Site, *rand.Rand) (string, func(context.Context) (string, error), error) {
	return func(_ context.Context, s *site.Site, _ *rand.Rand) (string, func(context.Context) (string, error), error) {
		var all links
		for _, a := range nodeIDs(s) {
			for _, b := range nodeIDs(s) {
				if a != b {
					all = append(all, [2]string{a, b})
				}
			}
		}
		return all.strike(s, f.String(), f)
	}
}

// flapEvery is half a flap.
const flapEvery = 100 * time.Millisecond

func flap(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	id := s.Nodes[r.IntN(len(s.Nodes))].ID
	var cuts links
	for _, other := range s.Hosts() {
		if other != id {
			cuts = append(cuts, [2]string{id, other}, [2]string{other, id})
		}
	}
	flapping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan int)
	before := held(s, cuts)
	go func() {
		n := 0
		for ticker := time.NewTicker(flapEvery); ; n++ {
			cuts.set(s, netem.Fault{Cut: n%2 == 0})
			select {
			case <-ticker.C:
			case <-flapping.Done():
				ticker.Stop()
				done <- n
				return
			}
		}
	}()
	return id, func(context.Context) (string, error) {
		cancel()
		n := <-done
		cuts.set(s, netem.Fault{})
		if h := held(s, cuts) - before; h > 0 {
			return fmt.Sprintf("%d changes, %d bytes were held back", n, h), nil
		}
		return "", nil
	}, nil
}

func reset(_ context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	id := s.Nodes[r.IntN(len(s.Nodes))].ID
	n := 0
	for _, other := range s.Hosts() {
		if other != id {
			n += s.Net.Reset(id, other)
		}
	}
	return id, func(context.Context) (string, error) {
		if n > 0 {
			return fmt.Sprintf("%d streams were reset", n), nil
		}
		return "", nil
	}, nil
}
