package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/docs/examples/invertedindex"
	"github.com/fanfold/fanfold/docs/examples/wordcount"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// catchUp is how long a node that was killed may take to reach the others.
const catchUp = 60 * time.Second

// check compares the results with those of other programs.
func (r *run) check(ctx context.Context, counts wordcount.Counts, index invertedindex.Result) error {
	if err := r.compareSequential(counts, index); err != nil {
		return err
	}
	return r.compareShell(ctx, counts)
}

// compareNodes compares the state hashes of all nodes at one index.
func (r *run) compareNodes(ctx context.Context) error {
	marker, hash, err := r.mark(ctx)
	if err != nil {
		return err
	}
	for _, node := range r.cluster.Nodes {
		got, err := r.hashOf(ctx, node, marker)
		if err != nil {
			return err
		}
		if got != hash {
			return fmt.Errorf("the state of node %s differs at log index %d: hash %s, the leader has %s; the data is kept in %s",
				node.ID, marker, got, hash, r.Dir)
		}
	}
	r.note("  equal: the state hash of all %d node(s) at log index %d is %s", len(r.cluster.Nodes), marker, short(hash))
	return nil
}

// mark writes a marker to the log and returns its index and the leader's hash there.
func (r *run) mark(ctx context.Context) (uint64, string, error) {
	answer, err := remote.Call(ctx, r.cluster.Remote(), apiv1connect.FanfoldClient.HashState, &apiv1.HashStateRequest{})
	if err != nil {
		return 0, "", fmt.Errorf("hash the state: %w", err)
	}
	if answer.GetHash() == "" {
		return 0, "", errors.New("hash the state: the cluster answered without a hash")
	}
	return answer.GetIndex(), answer.GetHash(), nil
}

// hashOf asks one node for its hash at an index, until it has got there.
func (r *run) hashOf(ctx context.Context, node *procs.Node, index uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := r.cluster.Remote().At(node.API).NodeHash(ctx,
			connect.NewRequest(&apiv1.NodeHashRequest{Index: index, WaitMs: time.Second.Milliseconds()}))
		if err == nil && answer.Msg.GetKnown() {
			return answer.Msg.GetHash(), nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = errors.New("it has not reached that index, or has no hash for it")
			}
			return "", fmt.Errorf("the state hash of node %s at log index %d: %w; its log is %s", node.ID, index, err, node.Process.Log)
		case <-ticker.C:
		}
	}
}

// finish stops everything and replays a node's log.
func (r *run) finish(ctx context.Context) error {
	marker, hash, err := r.mark(ctx)
	if err != nil {
		return errors.Join(err, r.stop())
	}
	node := r.cluster.Nodes[r.random.IntN(len(r.cluster.Nodes))]
	if _, err := r.hashOf(ctx, node, marker); err != nil { // its log must reach the marker
		return errors.Join(err, r.stop())
	}
	if err := r.stop(); err != nil {
		return err
	}
	started := time.Now()
	got, err := r.Replay(ctx, node.Data, marker)
	if err != nil {
		return fmt.Errorf("replay the log of node %s: %w", node.ID, err)
	}
	if got != hash {
		return fmt.Errorf("a replay of the log of node %s gives the state hash %s at index %d, the cluster had %s; the data is kept in %s",
			node.ID, got, marker, hash, r.Dir)
	}
	r.note("  equal: a replay of %s's log into an empty state gives the state hash of the cluster at index %d, %s (%s)",
		node.ID, marker, short(hash), output.Duration(time.Since(started)))
	return nil
}

// short is the beginning of a hash, enough for people to compare.
func short(hash string) string { return hash[:min(len(hash), 16)] }
