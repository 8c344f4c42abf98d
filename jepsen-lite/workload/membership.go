package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/site"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// The founders stay, and are what nemeses hit. Beside them nodes come and go: each joins with an identity and a
// disk of its own, follows without a vote, votes, and is removed, alive or dead, as a leader at times.
func init() {
	register(Workload{
		Name:   "membership",
		About:  "nodes join, are promoted, leave, and are replaced by others under new names, while clients submit jobs",
		Moves:  true,
		Spares: 2,
		Units:  submitUnits, // for runSubmit
		Run:    runMembership,
		Settle: settleMembership,
		Check:  checkMembership,
		Weak:   weakMembership,
	})
}

// changePatience bounds one change of members: under faults it may not come about.
const changePatience = 15 * time.Second

func runMembership(ctx context.Context, l *Load) error {
	done := make(chan error, 1)
	go func() { done <- runSubmit(ctx, l) }()
	r := rand.New(rand.NewPCG(l.Seed, 5<<32))
	var errs []error
	for n := 0; ctx.Err() == nil; n++ {
		p := l.Site.Spares[n%len(l.Site.Spares)]
		if p.Process != nil {
			errs = append(errs, leave(ctx, l, p, r.IntN(3) == 0))
		}
		if ctx.Err() == nil {
			errs = append(errs, join(ctx, l, p))
			stay(ctx, l, p, time.Duration(r.IntN(1500))*time.Millisecond, r.IntN(2) == 0)
		}
	}
	return errors.Join(append(errs, <-done)...)
}

// join starts a node and waits until the leader counts it among the voters.
func join(ctx context.Context, l *Load, p *site.Spare) error {
	if err := l.Site.Join(p); err != nil {
		return err
	}
	_, _ = l.Do("members", "join", p.ID, "", func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, changePatience)
		defer cancel()
		for {
			st := leaderStatus(ctx, l)
			if st != nil && slices.ContainsFunc(st.GetNodes(), func(n *apiv1.Node) bool { return n.GetId() == p.ID && n.GetVoter() }) {
				return "", nil
			}
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(30 * time.Millisecond):
			}
		}
	})
	return nil
}

// leaderStatus is what the leader knows, founder or not; nil: it is not found.
func leaderStatus(ctx context.Context, l *Load) *apiv1.ClusterStatusResponse {
	for _, address := range places(l) {
		st := statusAt(ctx, l, address)
		if st != nil && st.GetLeaderId() == st.GetNodeId() {
			return st
		}
	}
	return nil
}

func places(l *Load) []string {
	all := l.Site.Addresses()
	for _, p := range l.Site.Spares {
		if p.Process != nil {
			all = append(all, p.API)
		}
	}
	return all
}

// statusAt asks a node past the network of the run; nil: it does not answer.
func statusAt(ctx context.Context, l *Load, address string) *apiv1.ClusterStatusResponse {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	api, err := l.Site.API(&site.Node{API: address})
	if err != nil {
		return nil
	}
	answer, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return nil
	}
	return answer.Msg
}

// stay lets a node be a member for a while. One that comes to lead hands leadership on, if it is told to: nemeses
// know the founders alone, and wait for one of them to lead.
func stay(ctx context.Context, l *Load, p *site.Spare, d time.Duration, handOn bool) {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		if st := statusAt(ctx, l, p.API); handOn && st != nil && st.GetLeaderId() == p.ID {
			if api, err := l.Site.API(&site.Node{API: p.API}); err == nil {
				call, cancel := context.WithTimeout(ctx, opTimeout)
				_, _ = api.TransferLeadership(call, connect.NewRequest(&apiv1.TransferLeadershipRequest{To: l.Site.Nodes[0].ID}))
				cancel()
			}
		}
	}
}

// leave removes a node, after its death or alive, and ends it.
func leave(ctx context.Context, l *Load, p *site.Spare, dead bool) error {
	applied := uint64(0)
	if st := statusAt(ctx, l, p.API); st != nil {
		applied = st.GetAppliedIndex()
	}
	if dead {
		p.Process.Kill()
	}
	for {
		_, err := l.Do("members", "leave", p.ID, "", func() (string, error) {
			call, cancel := context.WithTimeout(ctx, changePatience)
			defer cancel()
			return "", l.Client.Call(call, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
				_, err := api.RemoveNode(ctx, connect.NewRequest(&apiv1.RemoveNodeRequest{Id: p.ID}))
				return err
			})
		})
		if err == nil || errors.Is(err, sdk.ErrNotFound) {
			break
		}
		if ctx.Err() != nil {
			return nil // it is removed when all is healed
		}
		pause(ctx, 100*time.Millisecond)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), changePatience)
	defer cancel()
	return l.Site.Leave(stopping, p, applied)
}

func settleMembership(ctx context.Context, l *Load) error {
	for _, p := range l.Site.Spares {
		if p.Process == nil {
			continue
		}
		if err := leave(ctx, l, p, false); err != nil {
			return err
		}
		if p.Process != nil {
			return fmt.Errorf("node %s cannot be removed after healing", p.ID)
		}
	}
	return settleSubmit(ctx, l)
}

func checkMembership(e *evidence.Evidence) []evidence.Verdict {
	return append(checkSubmit(e), changes(e)...)
}

// changes judges the changes of the configuration, as the log has them.
func changes(e *evidence.Evidence) []evidence.Verdict {
	overlap := evidence.Verdict{ID: "X6", Rule: "one change of members touches one voter, so that the majorities before and after it overlap"}
	inside := evidence.Verdict{ID: "X6", Rule: "who leads a term is a voter of the configuration in which it begins: who was removed commits nothing"}
	told := evidence.Verdict{ID: "X6", Rule: "a node whose removal was acknowledged is no member afterwards"}
	voters := []string(nil)                                 // of the latest configuration
	began, seen := map[uint64][]string{}, map[uint64]bool{} // voters when a term began
	for _, entry := range e.Ledger.Entries {
		if !seen[entry.Term] {
			began[entry.Term], seen[entry.Term] = voters, true
		}
		if entry.Members == nil {
			continue
		}
		overlap.Count++
		if changed := difference(voters, entry.Voters); voters != nil && len(changed) > 1 {
			overlap.Violate(fmt.Sprintf("index %d: the voters go from %v to %v", entry.Index, voters, entry.Voters))
		}
		voters = entry.Voters
	}
	for _, s := range e.Samples {
		if v := began[s.Term]; s.Leader != "" && v != nil {
			inside.Count++
			if !slices.Contains(v, s.Leader) {
				inside.Violate(fmt.Sprintf("at %v node %s takes %s for the leader of term %d, which began with the voters %v", s.At, s.Node, s.Leader, s.Term, v))
			}
		}
	}
	for _, op := range e.Ops {
		if op.Kind == "leave" && op.Outcome == history.OK {
			told.Count++
			if slices.Contains(voters, op.Key) {
				told.Violate(fmt.Sprintf("node %s, removed at %v, is among the last voters %v", op.Key, op.End, voters))
			}
		}
	}
	return []evidence.Verdict{overlap, inside, told}
}

// difference is what is in one of two lists only.
func difference(a, b []string) (all []string) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			all = append(all, x)
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			all = append(all, x)
		}
	}
	return all
}

// weakMembership: a run in which too little has changed proves nothing.
func weakMembership(e *evidence.Evidence) []string {
	n := map[string]int{}
	for _, op := range e.Ops {
		if op.Outcome == history.OK {
			n[op.Kind]++
		}
	}
	if n["join"] < 2 || n["leave"] < 2 {
		return []string{"only " + strconv.Itoa(n["join"]) + " nodes joined, and " + strconv.Itoa(n["leave"]) + " left"}
	}
	return nil
}
