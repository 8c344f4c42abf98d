package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func init() {
	register(Nemesis{
		Name: "corrupt-file", About: "kill a node, damage a file of its log or state, start it: it has to refuse (75) or be right; then it gets an empty disk", Least: 100 * time.Millisecond, Most: time.Second,
		Strike: corruptFile, Proves: damaged,
	})
	register(Nemesis{
		Name: "wipe", About: "kill a node and take its disk away, or its log, votes or state alone: it joins anew, replays its log, or refuses (75)", Least: 100 * time.Millisecond, Most: 2 * time.Second,
		Strike: wipe, Proves: damaged,
	})
}

// damagePatience bounds what a node may take to refuse, to catch up, or to join anew.
const damagePatience = 40 * time.Second

// damaged is what both put to the test.
var damaged = &Rule{"X5", "a node whose files are damaged or incomplete refuses to serve with code 75, or is right; with an empty disk it joins anew"}

// victim kills a node whose disk the cluster can do without: every other node has what is committed, and knows
// all members. Two of three must be there to take an emptied third back (docs/decisions/0015).
func victim(ctx context.Context, s *site.Site, r *rand.Rand) (*site.Node, error) {
	n, err := leaderOrAny(ctx, s, r)
	if err != nil {
		return nil, err
	}
	for _, other := range s.Nodes {
		if err := awaitMember(ctx, s, other); err != nil {
			return nil, err
		}
	}
	n.Process.Kill()
	return n, nil
}

// awaitMember waits until a node has all that was committed when it was asked first, and it and the leader
// count it among all the voters.
func awaitMember(ctx context.Context, s *site.Site, n *site.Node) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var commit uint64
	for {
		if leader := leads(ctx, s); leader != nil {
			theirs, err := s.Status(ctx, leader)
			if err == nil && commit == 0 {
				commit = theirs.GetCommitIndex()
			}
			ours, oursErr := s.Status(ctx, n)
			if err == nil && oursErr == nil && commit > 0 && ours.GetAppliedIndex() >= commit && votes(theirs, n.ID) && votes(ours, n.ID) && len(theirs.GetNodes()) >= len(s.Nodes) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s is not a member that has caught up: %w", n.ID, ctx.Err())
		case <-n.Process.Done():
			return fmt.Errorf("node %s ended with %d: see %s", n.ID, n.Process.ExitCode(), n.Log)
		case <-ticker.C:
		}
	}
}

// leads returns the node of the run's own that leads, or nil when none does for a second: one that a workload has
// added is asked to hand over.
func leads(ctx context.Context, s *site.Site) *site.Node {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	leader, err := s.AwaitLeader(ctx)
	if err != nil {
		return nil
	}
	return leader
}

func votes(st *apiv1.ClusterStatusResponse, id string) bool {
	return slices.ContainsFunc(st.GetNodes(), func(m *apiv1.Node) bool { return m.GetId() == id && m.GetVoter() })
}

// rejoin gives a node that does not run an empty disk, starts it, and waits until it has a vote again.
func rejoin(ctx context.Context, s *site.Site, n *site.Node) (took time.Duration, err error) {
	began := time.Now()
	if err := s.ReplaceDisk(n); err != nil {
		return 0, err
	}
	if err := s.StartNode(n); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, damagePatience)
	defer cancel()
	if err := awaitMember(ctx, s, n); err != nil {
		return 0, &Broken{fmt.Sprintf("node %s, with an empty disk, has not joined within %v: %v", n.ID, damagePatience, err)}
	}
	return time.Since(began).Round(time.Millisecond), nil
}

// corruptFile damages one file.
func corruptFile(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	n, err := victim(ctx, s, r)
	if err != nil {
		return "", nil, err
	}
	name, err := chooseFile(n.Data, r)
	if err != nil {
		return "", nil, err
	}
	hit, err := damage(filepath.Join(n.Data, name), r)
	if err != nil {
		return "", nil, err
	}
	n.LostPart()
	if strings.HasPrefix(name, filepath.Join("raft", "log")) {
		if err := s.KeepLog(n); err != nil {
			return "", nil, err
		}
	}
	return fmt.Sprintf("%s %s: %s", n.ID, name, hit.what), func(ctx context.Context) (string, error) {
		how, err := serveOrRefuse(ctx, s, n)
		if err == nil && how == right && hit.acknowledged {
			err = &Broken{fmt.Sprintf("node %s serves, although what it had acknowledged is damaged in %s: %s", n.ID, name, hit.what)}
		}
		took, joined := rejoin(ctx, s, n)
		return fmt.Sprintf("%s; with an empty disk it had joined after %v", how, took), cmp.Or(joined, err)
	}, nil
}

// serveOrRefuse starts a node that is damaged, and waits until it has refused to serve, or shown that it has
// the leader's state. It does not run afterwards.
func serveOrRefuse(ctx context.Context, s *site.Site, n *site.Node) (string, error) {
	if err := s.StartNode(n); err != nil {
		return "", err
	}
	n.Process.Expect(true)
	ctx, cancel := context.WithTimeout(ctx, damagePatience)
	defer cancel()
	same, err := sameState(ctx, s, n)
	if n.Process.Running() {
		n.Process.Kill()
		switch {
		case err != nil:
			return "", &Broken{fmt.Sprintf("node %s, damaged, neither refuses nor catches up: %v", n.ID, err)}
		case !same:
			return "", &Broken{fmt.Sprintf("node %s, damaged, serves a state that is not the leader's", n.ID)}
		}
		return right, nil
	}
	if code := n.Process.ExitCode(); code != cluster.ExitCorruption {
		return "", &Broken{fmt.Sprintf("node %s, damaged, ended with code %d in place of %d: see %s", n.ID, code, cluster.ExitCorruption, n.Log)}
	}
	return fmt.Sprintf("it refused with %d", cluster.ExitCorruption), nil
}

// right is what serveOrRefuse says of a node that has the leader's state.
const right = "it was right"

// sameState has the cluster hash its state, which reads all of it, and compares.
func sameState(ctx context.Context, s *site.Site, n *site.Node) (bool, error) {
	if err := awaitMember(ctx, s, n); err != nil {
		return false, err
	}
	for {
		leader, err := s.AwaitLeader(ctx)
		if err != nil {
			return false, err
		}
		var hashes []string
		index := uint64(0)
		for _, of := range []*site.Node{leader, n} {
			api, err := s.API(of)
			if err != nil {
				return false, err
			}
			if index == 0 {
				answer, err := api.HashState(ctx, connect.NewRequest(&apiv1.HashStateRequest{}))
				if err != nil {
					break // it does not lead any more
				}
				index = answer.Msg.GetIndex()
			}
			answer, err := api.NodeHash(ctx, connect.NewRequest(&apiv1.NodeHashRequest{Index: index, WaitMs: 10_000}))
			if err == nil && answer.Msg.GetHash() != "" {
				hashes = append(hashes, answer.Msg.GetHash())
			}
		}
		switch {
		case len(hashes) == 2:
			return hashes[0] == hashes[1], nil
		case ctx.Err() != nil || !n.Process.Running():
			return false, fmt.Errorf("no hash of node %s", n.ID)
		}
	}
}

// chooseFile chooses what to damage: the log half of the times, else any file that is not empty.
func chooseFile(data string, r *rand.Rand) (string, error) {
	if r.IntN(2) == 0 {
		return chooseLogFile(data, r)
	}
	var all []string
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			name, _ := filepath.Rel(data, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("nothing to damage in %s: %v", data, err)
	}
	return all[r.IntN(len(all))], nil
}

// hit is what was done to a file. acknowledged: it lacks something that the node had told others it has, and
// the format of the file is such that the node has to find it.
type hit struct {
	what         string
	acknowledged bool
}

// damage flips bits in a file, overwrites a part of it, or cuts its end off.
func damage(path string, r *rand.Rand) (hit, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return hit{}, err
	}
	if strings.HasSuffix(path, segmentSuffix) {
		return damageSegment(path, content, r)
	}
	var what string
	used := usedLength(content)
	switch r.IntN(4) {
	case 0:
		keep := r.IntN(used)
		content, what = content[:keep], fmt.Sprintf("cut to %d of %d bytes", keep, len(content))
	case 1:
		at := r.IntN(used)
		size := min(512, len(content)-at)
		for i := range size {
			content[at+i] = byte(r.Uint32())
		}
		what = fmt.Sprintf("%d bytes of noise at %d", size, at)
	default:
		flips := 1 + r.IntN(8)
		var at []int
		for range flips {
			i := r.IntN(used)
			content[i] ^= 1 << r.IntN(8)
			at = append(at, i)
		}
		what = fmt.Sprintf("bits flipped at %v", at)
	}
	return hit{what: what}, os.WriteFile(path, content, 0o600)
}

// usedLength leaves zeros at the end of a file out: files are made large in advance.
func usedLength(content []byte) int {
	n := len(content)
	for n > 1 && content[n-1] == 0 {
		n--
	}
	return n
}

// wipe takes away all, or one part.
func wipe(ctx context.Context, s *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	n, err := victim(ctx, s, r)
	if err != nil {
		return "", nil, err
	}
	part := []string{"", "", "state", "state", "log", filepath.Join("raft", "stable.db")}[r.IntN(6)]
	if part == "log" {
		if part, err = chooseLogPart(n.Data, r); err != nil {
			return "", nil, err
		}
	}
	if part == "" {
		return n.ID + " everything", func(ctx context.Context) (string, error) {
			took, err := rejoin(ctx, s, n)
			return fmt.Sprintf("with an empty disk it had joined after %v", took), err
		}, nil
	}
	if err := os.RemoveAll(filepath.Join(n.Data, part)); err != nil {
		return "", nil, err
	}
	n.LostPart()
	return n.ID + " " + part, func(ctx context.Context) (string, error) {
		how, err := serveOrRefuse(ctx, s, n)
		if err == nil && how == right {
			return how + ", by its log", s.StartNode(n)
		}
		took, joined := rejoin(ctx, s, n)
		return fmt.Sprintf("%s; with an empty disk it had joined after %v", how, took), cmp.Or(joined, err)
	}, nil
}
