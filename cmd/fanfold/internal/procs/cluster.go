// Package procs runs a cluster on this machine: nodes, each the running executable started again as a server.
package procs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// Node is one place of a cluster: it stays the same while its process is killed and started again.
type Node struct {
	ID      string
	Data    string
	API     string
	Raft    string
	Process *child.Process // nil before the first start
}

// Cluster is a set of nodes on this machine. It is used by one goroutine at a time.
type Cluster struct {
	Nodes []*Node
	// Args are added to every node's command line.
	Args   []string
	dir    string
	remote *remote.Client
}

// NewCluster lays out n nodes below dir on free ports and starts none. firstAPI, if free, is the
// API address of the first node ("" for any).
func NewCluster(dir string, n int, firstAPI string) (*Cluster, error) {
	ports, err := child.Ports(2 * n)
	if err != nil {
		return nil, err
	}
	if firstAPI != "" && child.Free(firstAPI) {
		ports[0] = firstAPI
	}
	c := &Cluster{dir: dir}
	for i := range n {
		id := "n" + strconv.Itoa(i+1)
		c.Nodes = append(c.Nodes, &Node{ID: id, Data: filepath.Join(dir, id), API: ports[2*i], Raft: ports[2*i+1]})
	}
	c.remote = remote.New(c.Addresses())
	return c, nil
}

// Addresses are the API addresses of all nodes.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, node := range c.Nodes {
		all = append(all, node.API)
	}
	return all
}

// Remote is a client of all nodes.
func (c *Cluster) Remote() *remote.Client { return c.remote }

// Command is the command line of a node, to be run by hand.
func (c *Cluster) Command(node *Node) []string { return append([]string{"fanfold"}, c.args(node)...) }

func (c *Cluster) args(node *Node) []string {
	var peers []string
	for _, peer := range c.Nodes {
		peers = append(peers, peer.ID+"="+peer.Raft+"/"+peer.API)
	}
	return append([]string{
		"server", "--id", node.ID, "--data", node.Data, "--api", node.API, "--raft", node.Raft,
		"--peers", strings.Join(peers, ","),
	}, c.Args...)
}

// Start starts the process of a node, on the same directory and ports as before.
func (c *Cluster) Start(node *Node) error {
	process, err := child.Start("node "+node.ID, filepath.Join(c.dir, node.ID+".log"), c.args(node)...)
	if err != nil {
		return err
	}
	node.Process = process
	return nil
}

// StartAll starts every node and waits until the cluster has a leader that answers.
func (c *Cluster) StartAll(ctx context.Context) error {
	for _, node := range c.Nodes {
		if err := c.Start(node); err != nil {
			return err
		}
	}
	_, err := c.AwaitLeader(ctx)
	return err
}

// StatusAt asks the node at an API address for its own view of the cluster, once. It is safe for
// concurrent use.
func (c *Cluster) StatusAt(ctx context.Context, address string) (*apiv1.ClusterStatusResponse, error) {
	answer, err := c.remote.At(address).ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// Leader returns the node that says it leads, or nil.
func (c *Cluster) Leader(ctx context.Context) *Node {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, node := range c.Nodes {
		if node.Process == nil || !node.Process.Running() {
			continue
		}
		if status, err := c.StatusAt(ctx, node.API); err == nil && status.GetLeaderId() == node.ID {
			return node
		}
	}
	return nil
}

// AwaitLeader waits for a leader. It fails at once when a node has ended by itself.
func (c *Cluster) AwaitLeader(ctx context.Context) (*Node, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if leader := c.Leader(ctx); leader != nil {
			return leader, nil
		}
		if err := c.Crashed(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the cluster has no leader: see the logs in %s", c.dir)
		case <-ticker.C:
		}
	}
}

// Crashed returns the errors of the nodes that ended although nobody stopped them.
func (c *Cluster) Crashed() error {
	var all []error
	for _, node := range c.Nodes {
		if node.Process != nil {
			all = append(all, node.Process.Crashed())
		}
	}
	return errors.Join(all...)
}

// StopAll asks all running nodes to stop and waits; those that do not are killed.
func (c *Cluster) StopAll(ctx context.Context) error {
	c.remote.Close()
	processes := make([]*child.Process, len(c.Nodes))
	for i, node := range c.Nodes {
		processes[i] = node.Process
	}
	return child.StopAll(ctx, processes)
}
