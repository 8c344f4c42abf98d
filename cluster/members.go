package cluster

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// founders is the configuration that a fresh node begins with, nil when it waits to be taken in.
// Nodes that found a cluster together all write the same first entry, so it does not matter who
// leads first.
func (n *Node) founders(self raft.ServerAddress) *raft.Configuration {
	if len(n.cfg.Join) > 0 || n.ClusterID() != "" {
		return nil
	}
	if len(n.cfg.Peers) == 0 {
		return &raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(n.cfg.NodeID), Address: self}}}
	}
	conf := &raft.Configuration{}
	for _, p := range n.cfg.Peers {
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(p.ID), Address: ServerAddress(p.RaftAddress, p.APIAddress)})
	}
	return conf
}

// catchUpWithin is how many entries a new node may lack when it becomes a voter; catchUpPoll is how
// often it is asked.
const (
	catchUpWithin = 100
	catchUpPoll   = 100 * time.Millisecond
)

// emptyNode is what a node with an empty data directory says instead of a cluster's id: it asks that
// nothing of a former node of its name is left, before it starts Raft and asks to be taken in.
const emptyNode = "none"

// AddNode takes a node into the cluster, and returns when it is a voter for good. Repeating the call is
// safe. A node that says that it is empty is not added: what the cluster has under its id is removed.
//
// Raft's AddVoter makes a voter at once: with a fourth, still empty one among the voters, the loss of
// one node stops the cluster. So the node first follows without a vote until it has nearly caught up.
//
// Only a leader can do it: engine.ErrNotLeader elsewhere. A *fsm.Refusal says what does not fit.
func (n *Node) AddNode(ctx context.Context, id, raftAddress, apiAddress, clusterID string) (string, error) {
	i, err := n.leader()
	if err != nil {
		return "", err
	}
	if err := n.changeMembers(ctx); err != nil {
		return "", err
	}
	defer n.changedMembers()
	// What is committed now stays; without it, a change that is rolled back could be taken for done.
	if err := i.log.wait(ctx, func() raft.Future { return i.raft.Barrier(0) }); err != nil {
		return "", err
	}
	if clusterID == emptyNode {
		return n.ClusterID(), n.forget(ctx, i, id, apiAddress)
	}
	address := ServerAddress(raftAddress, apiAddress)
	member, err := n.checkNewNode(i, id, raftAddress, apiAddress, clusterID)
	if err != nil {
		return "", err
	}
	if member != nil && member.Suffrage == raft.Voter && member.Address == address {
		return n.ClusterID(), nil
	}
	server := raft.ServerID(id)
	var index uint64
	err = i.log.wait(ctx, func() raft.Future {
		future := i.raft.AddNonvoter(server, address, 0, 0)
		if future.Error() == nil {
			index = future.Index()
		}
		return future
	})
	if err != nil {
		return "", fmt.Errorf("add node %s: %w", id, err)
	}
	if member != nil && member.Suffrage == raft.Voter {
		return n.ClusterID(), nil // its address was changed
	}
	if err := n.waitCaughtUp(ctx, id, apiAddress, index); err != nil {
		return "", err
	}
	if err := i.log.wait(ctx, func() raft.Future { return i.raft.AddVoter(server, address, index, 0) }); err != nil {
		return "", fmt.Errorf("make node %s a voter: %w", id, err)
	}
	n.logger.Info("a node joined", "node", id)
	return n.ClusterID(), nil
}

// forget removes the entry of a node that has lost its disk; an entry under another address is another
// node's.
func (n *Node) forget(ctx context.Context, i *instance, id, apiAddress string) error {
	for _, s := range i.raft.GetConfiguration().Configuration().Servers {
		if string(s.ID) != id {
			continue
		}
		if _, api := splitAddress(s.Address); api != apiAddress {
			return refusal(fsm.CodeConflict, "the cluster has a node %s already, at %s: choose another id; or remove that node first, if it is gone for good", id, api)
		}
		if err := i.log.wait(ctx, func() raft.Future { return i.raft.RemoveServer(s.ID, 0, 0) }); err != nil {
			return fmt.Errorf("forget node %s: %w", id, err)
		}
		n.logger.Warn("a node has lost its data; it was removed and joins anew", "node", id)
	}
	return nil
}

// checkNewNode refuses what would harm the cluster; member is the node's entry when it has one.
func (n *Node) checkNewNode(i *instance, id, raftAddress, apiAddress, clusterID string) (member *raft.Server, err error) {
	if !nodeIDForm.MatchString(id) {
		return nil, refusal(fsm.CodeInvalid, "node id %q: it needs 1 to 64 letters, digits, dots, dashes or underscores", id)
	}
	for _, a := range []string{raftAddress, apiAddress} {
		if err := checkAddress(a); err != nil {
			return nil, refusal(fsm.CodeInvalid, "node %s: %v", id, err)
		}
	}
	if clusterID != "" && clusterID != n.ClusterID() {
		return nil, refusal(fsm.CodeConflict, "node %s belongs to cluster %s, this is cluster %s: start it with an empty data directory", id, clusterID, n.ClusterID())
	}
	address := ServerAddress(raftAddress, apiAddress)
	for _, s := range i.raft.GetConfiguration().Configuration().Servers {
		switch {
		case string(s.ID) == id:
			member = &s
		case s.Address == address:
			return nil, refusal(fsm.CodeConflict, "node %s already has the address %s: remove it first", s.ID, address)
		}
	}
	if member != nil && member.Suffrage == raft.Voter && member.Address != address && clusterID == "" {
		return nil, refusal(fsm.CodeConflict, "there is a node %s already, at %s: choose another id, or remove that node first", id, member.Address)
	}
	return member, nil
}

// waitCaughtUp asks the new node how far it is (Raft knows too, but does not tell), until it has the
// entry by which it follows, one of the present term, and nearly all that came after.
func (n *Node) waitCaughtUp(ctx context.Context, id, apiAddress string, entry uint64) error {
	ticker := time.NewTicker(catchUpPoll)
	defer ticker.Stop()
	var last error
	for {
		status, err := n.statusOf(ctx, apiAddress)
		applied, _ := n.replica.machine().Applied()
		if err == nil && status.NodeId != id {
			return refusal(fsm.CodeConflict, "the node at %s is %s, not %s", apiAddress, status.NodeId, id)
		}
		if err == nil && status.AppliedIndex >= entry && status.AppliedIndex+catchUpWithin >= applied {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s follows without a vote, but has not caught up yet (last error: %v): %w", id, last, ctx.Err())
		case <-ticker.C:
		}
		if _, err := n.leader(); err != nil {
			return err
		}
	}
}

// RemoveNode takes a node out of the cluster. It does not stop the node's process.
func (n *Node) RemoveNode(ctx context.Context, id string) error {
	i, err := n.leader()
	if err != nil {
		return err
	}
	if err := n.changeMembers(ctx); err != nil {
		return err
	}
	defer n.changedMembers()
	voters, found := 0, false
	for _, s := range i.raft.GetConfiguration().Configuration().Servers {
		found = found || string(s.ID) == id
		if s.Suffrage == raft.Voter && string(s.ID) != id {
			voters++
		}
	}
	if !found {
		return refusal(fsm.CodeNotFound, "the cluster has no node %q: `fanfold cluster status` lists them", id)
	}
	if voters == 0 {
		return refusal(fsm.CodeConflict, "node %s is the last voter and cannot be removed", id)
	}
	if err := i.log.wait(ctx, func() raft.Future { return i.raft.RemoveServer(raft.ServerID(id), 0, 0) }); err != nil {
		return fmt.Errorf("remove node %s: %w", id, err)
	}
	n.logger.Info("a node was removed", "node", id)
	return nil
}

// TransferLeadership makes another voter the leader; to "" lets Raft choose.
func (n *Node) TransferLeadership(ctx context.Context, to string) error {
	i, err := n.leader()
	if err != nil {
		return err
	}
	if to == "" {
		return i.log.wait(ctx, i.raft.LeadershipTransfer)
	}
	for _, s := range i.raft.GetConfiguration().Configuration().Servers {
		if string(s.ID) != to || s.Suffrage != raft.Voter {
			continue
		}
		if to == n.cfg.NodeID {
			return nil
		}
		return i.log.wait(ctx, func() raft.Future { return i.raft.LeadershipTransferToServer(s.ID, s.Address) })
	}
	return refusal(fsm.CodeNotFound, "the cluster has no voter %q: `fanfold cluster status` lists them", to)
}

// leader returns the running instance if it leads.
func (n *Node) leader() (*instance, error) {
	i := n.instance.Load()
	if i == nil || i.raft.State() != raft.Leader {
		return nil, engine.ErrNotLeader
	}
	return i, nil
}

// changeMembers lets one change of members run at a time.
func (n *Node) changeMembers(ctx context.Context) error {
	select {
	case n.membersChange <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Node) changedMembers() { <-n.membersChange }

func refusal(code fsm.Code, format string, args ...any) error {
	return &fsm.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// statusOf asks another node.
func (n *Node) statusOf(ctx context.Context, apiAddress string) (*apiv1.ClusterStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	response, err := n.client(apiAddress).ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return response.Msg, nil
}

func (n *Node) client(apiAddress string) apiv1connect.FanfoldClient {
	return apiv1connect.NewFanfoldClient(n.http, "http://"+apiAddress)
}
