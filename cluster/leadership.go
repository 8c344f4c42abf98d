package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// lead follows this node's leadership until ctx is done: every term of leadership runs under a
// context of its own, and the next one begins when it has ended.
//
// Raft's channel holds the newest change only, so waiting here never holds up Raft, and a second
// "leader" without a "follower" between them is a new term. (Raft's NotifyCh is no alternative: a
// slow reader of it stops Raft, hashicorp/consul #6852.)
func (i *instance) lead(ctx context.Context) {
	stop := func() {}
	for {
		select {
		case <-ctx.Done():
			stop()
			return
		case leading := <-i.raft.LeaderCh():
			stop()
			stop = func() {}
			if leading {
				stop = i.beginTerm(ctx)
			}
		}
	}
}

// beginTerm starts a term; stop ends it and waits for its end.
func (i *instance) beginTerm(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		i.runTerm(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// runTerm runs engines while this node leads: usually one. A proposal with an unknown outcome ends an
// engine; the next one begins after a barrier, and then the outcome is known.
func (i *instance) runTerm(ctx context.Context) {
	logger := i.node.logger
	for ctx.Err() == nil && i.raft.State() == raft.Leader {
		err := i.runEngine(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, engine.ErrOutcomeUnknown), errors.Is(err, engine.ErrNotLeader):
			logger.Info("the engine ended; it starts again if this node still leads", "cause", err)
		default:
			i.node.fail(ExitInvariant, fmt.Sprintf("the engine ended: %v", err))
			return
		}
		select { // Raft may take a moment to notice that it no longer leads
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// runEngine makes the state current, and then this node the one that answers.
func (i *instance) runEngine(ctx context.Context) error {
	n := i.node
	// Entries of earlier terms may be committed and not yet applied here. After the barrier they are.
	if err := i.log.wait(ctx, func() raft.Future { return i.raft.Barrier(0) }); err != nil {
		return err
	}
	if err := i.nameCluster(ctx); err != nil {
		return err
	}
	e, err := engine.New(engine.Config{Log: i.log, Machine: n.replica.machine(), Logger: n.logger, Clock: n.cfg.Now})
	if err != nil {
		return err
	}
	stopEgress := i.startEgress(ctx, e)
	defer stopEgress()
	if planted.Restless {
		defer i.handOn().Stop()
	}
	n.leading.Store(e)
	defer n.leading.Store(nil)
	n.logger.Info("this node leads", "term", i.raft.CurrentTerm())
	return e.Run(ctx)
}

// nameCluster gives a new cluster its identity, 128 random bits in the replicated state: the very
// first command of its log.
func (i *instance) nameCluster(ctx context.Context) error {
	n := i.node
	if n.replica.machine().ClusterID() != "" {
		return nil
	}
	id := make([]byte, clusterIDLen/2)
	rand.Read(id)
	entry, err := fsm.EncodeEntry(n.cfg.Now().UnixMilli(), []*fsmpb.Command{{
		Kind: &fsmpb.Command_InitCluster{InitCluster: &fsmpb.InitCluster{Id: id}}}})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	i.log.Propose(entry, func(_ *fsm.Result, err error) { done <- err })
	select {
	case err = <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err == nil {
		n.logger.Info("a new cluster is founded", "cluster", hex.EncodeToString(id))
		n.learnClusterID()
	}
	return err
}
