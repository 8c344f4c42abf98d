// Package site is the place where a run happens: the processes of nodes and workers, and the network
// between them and the clients.
package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/netem"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Client is the host that all clients of the run are on.
const Client = "client"

// Config lays out a site.
type Config struct {
	Dir            string
	Nodes, Workers int
	Spares         int // places for nodes that join later
	// Command starts a process of the run: an executable and the arguments before the sub-command.
	Command []string
	// NodeCommand starts the nodes in place of Command, where it is given.
	NodeCommand []string
	// Breakable says that NodeCommand has the faults of package inside.
	Breakable bool
	// NodeArgs and WorkerArgs are added to the command lines.
	NodeArgs, WorkerArgs []string
}

// Site is used by one goroutine at a time, but for what says otherwise.
type Site struct {
	Net     *netem.Network
	Nodes   []*Node
	Workers []*Worker
	Spares  []*Spare
	Formers []Former // nodes that were in Spares, and have left
	Damaged []string // directories of logs that KeepLog kept
	cfg     Config
	doors   netem.Doors // of the clients
	look    *sdk.Client // to ask nodes for their status
}

// Node is one place of the cluster: it stays the same while its process comes and goes.
type Node struct {
	ID, Data, API, Raft, Log string
	Archive                  string         // what it cuts from its log
	Vitals                   string         // what it says of its goroutines and files
	Faults                   string         // where it takes orders for faults; "" when the site is not breakable
	Process                  *child.Process // nil before the first start
	Starts                   int

	disk atomic.Int64
}

// Disk counts how often the node's disk was replaced. It is safe for concurrent use.
func (n *Node) Disk() int { return int(n.disk.Load()) }

// Worker is one place of a worker.
type Worker struct {
	ID, Log string
	Process *child.Process
	Starts  int
}

// New lays out a site and starts nothing.
func New(cfg Config) (*Site, error) {
	ports, err := child.Ports(3*cfg.Nodes + 2*cfg.Spares)
	if err != nil {
		return nil, err
	}
	if cfg.NodeCommand == nil {
		cfg.NodeCommand = cfg.Command
	}
	s := &Site{Net: netem.New(), cfg: cfg}
	for i := range cfg.Nodes {
		id := "n" + strconv.Itoa(i+1)
		s.Nodes = append(s.Nodes, &Node{
			ID: id, Data: filepath.Join(cfg.Dir, id), API: ports[2*i], Raft: ports[2*i+1], Log: filepath.Join(cfg.Dir, id+".log"),
			Archive: filepath.Join(cfg.Dir, id+"-cut"), Vitals: filepath.Join(cfg.Dir, id+"-vitals.jsonl"),
		})
		if cfg.Breakable {
			s.Nodes[i].Faults = ports[2*cfg.Nodes+i]
		}
	}
	for i := range cfg.Spares {
		place := "x" + strconv.Itoa(i+1)
		at := ports[3*cfg.Nodes+2*i:]
		s.Spares = append(s.Spares, &Spare{Place: place, API: at[0], Raft: at[1], log: filepath.Join(cfg.Dir, place+".log")})
	}
	for i := range cfg.Workers {
		id := "w" + strconv.Itoa(i+1)
		s.Workers = append(s.Workers, &Worker{ID: id, Log: filepath.Join(cfg.Dir, id+".log")})
	}
	if s.doors, err = s.doorsOf(Client); err != nil {
		return nil, err
	}
	s.look, err = sdk.NewClient(sdk.ClientConfig{Addresses: s.Addresses()})
	return s, err
}

// doorsOf opens the doors by which a host reaches the nodes.
func (s *Site) doorsOf(host string) (netem.Doors, error) {
	doors := netem.Doors{}
	open := func(to string, addresses ...string) error {
		if to == host {
			return nil
		}
		for _, address := range addresses {
			door, err := s.Net.Door(host, to, address)
			if err != nil {
				return err
			}
			doors[address] = door
		}
		return nil
	}
	for _, n := range s.Nodes {
		if err := open(n.ID, n.API, n.Raft); err != nil {
			return nil, err
		}
	}
	for _, p := range s.Spares {
		if err := open(p.Place, p.API, p.Raft); err != nil {
			return nil, err
		}
	}
	return doors, nil
}

// Addresses are the API addresses of the nodes.
func (s *Site) Addresses() []string {
	var all []string
	for _, n := range s.Nodes {
		all = append(all, n.API)
	}
	return all
}

// NewClient makes a client that reaches the nodes through the network of the run.
func (s *Site) NewClient() (*sdk.Client, error) {
	return sdk.NewClient(sdk.ClientConfig{Addresses: s.Addresses(), Dialer: s.doors.DialContext})
}

// StartNode starts the process of a node, on the directory and ports of before. more are further arguments
// of this one start.
func (s *Site) StartNode(n *Node, more ...string) error {
	doors, err := s.doorsOf(n.ID)
	if err != nil {
		return err
	}
	var peers []string
	for _, p := range s.Nodes {
		peers = append(peers, p.ID+"="+p.Raft+"/"+p.API)
	}
	args := append([]string{"node", "--id", n.ID, "--data", n.Data, "--api", n.API, "--raft", n.Raft,
		"--peers", strings.Join(peers, ","), "--doors", doors.String(), "--archive", n.Archive, "--vitals", n.Vitals}, s.cfg.NodeArgs...)
	if n.Faults != "" {
		args = append(args, "--"+inside.ListenFlag, n.Faults)
	}
	n.Process, err = start(s.cfg.NodeCommand, "node "+n.ID, n.Log, append(args, more...))
	n.Starts++
	return err
}

// LostPart says that a part of what is on the node's disk is lost: it may come back with less than it had.
func (n *Node) LostPart() { n.disk.Add(1) }

// KeepLog keeps a copy of the log of a node that does not run, for the judgement: what can be read of it has to
// be what the cluster committed.
func (s *Site) KeepLog(n *Node) error {
	dir := filepath.Join(s.cfg.Dir, fmt.Sprintf("%s-damaged-%d", n.ID, len(s.Damaged)+1))
	s.Damaged = append(s.Damaged, dir)
	return os.CopyFS(filepath.Join(dir, "raft"), os.DirFS(filepath.Join(n.Data, "raft")))
}

// ReplaceDisk gives a node that does not run an empty disk in the place of its own: started again, it joins the
// cluster anew.
func (s *Site) ReplaceDisk(n *Node) error {
	n.disk.Add(1)
	return os.RemoveAll(n.Data)
}

// StartWorker starts the process of a worker.
func (s *Site) StartWorker(w *Worker) error {
	doors, err := s.doorsOf(w.ID)
	if err != nil {
		return err
	}
	args := append([]string{"worker", "--name", w.ID, "--addresses", strings.Join(s.Addresses(), ","), "--doors", doors.String()}, s.cfg.WorkerArgs...)
	w.Process, err = start(s.cfg.Command, "worker "+w.ID, w.Log, args)
	w.Starts++
	return err
}

func start(command []string, name, log string, args []string) (*child.Process, error) {
	return child.StartExecutable(command[0], name, log, slices.Concat(command[1:], args)...)
}

// Start starts everything and waits for a leader.
func (s *Site) Start(ctx context.Context) error {
	for _, n := range s.Nodes {
		if err := s.StartNode(n); err != nil {
			return err
		}
	}
	if _, err := s.AwaitLeader(ctx); err != nil {
		return err
	}
	for _, w := range s.Workers {
		if err := s.StartWorker(w); err != nil {
			return err
		}
	}
	return nil
}

// Status asks one node, past the network of the run, what it knows of the cluster. It is safe for
// concurrent use.
func (s *Site) Status(ctx context.Context, n *Node) (*apiv1.ClusterStatusResponse, error) {
	api, err := s.API(n)
	if err != nil {
		return nil, err
	}
	answer, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// API is one node's API, past the network of the run.
func (s *Site) API(n *Node) (apiv1connect.FanfoldClient, error) { return s.look.At(n.API) }

// Leader returns the node that says that it leads, or nil. Of two it is the one of the later term.
func (s *Site) Leader(ctx context.Context) *Node {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var leader *Node
	var term uint64
	for _, n := range s.Nodes {
		if n.Process == nil || !n.Process.Running() {
			continue
		}
		if st, err := s.Status(ctx, n); err == nil && st.GetLeaderId() == n.ID && st.GetTerm() > term {
			leader, term = n, st.GetTerm()
		}
	}
	return leader
}

// AwaitLeader waits until one of the nodes of the run leads. A node that a workload has added (membership) is
// asked to hand leadership over: nemeses strike the run's own.
func (s *Site) AwaitLeader(ctx context.Context) (*Node, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if n := s.Leader(ctx); n != nil {
			return n, nil
		}
		s.callBack(ctx)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("none of the cluster's first nodes leads: see the logs in %s", s.cfg.Dir)
		case <-ticker.C:
		}
	}
}

// callBack asks a leader that is none of the run's nodes to hand over to one of them. It may be refused, or be
// late: who waits for a leader asks again.
func (s *Site) callBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, n := range s.Nodes {
		if n.Process == nil || !n.Process.Running() {
			continue
		}
		st, err := s.Status(ctx, n)
		if err != nil || st.GetLeaderId() == "" || st.GetLeaderAddress() == "" || slices.ContainsFunc(s.Nodes, func(o *Node) bool { return o.ID == st.GetLeaderId() }) {
			continue
		}
		if api, err := s.look.At(st.GetLeaderAddress()); err == nil {
			_, _ = api.TransferLeadership(ctx, connect.NewRequest(&apiv1.TransferLeadershipRequest{To: n.ID}))
		}
		return
	}
}

// Hosts are the names of all nodes, workers and the clients' host.
func (s *Site) Hosts() (all []string) {
	for _, n := range s.Nodes {
		all = append(all, n.ID)
	}
	for _, w := range s.Workers {
		all = append(all, w.ID)
	}
	return append(all, Client)
}

// StopWorkers asks all workers to hand back what they hold and to end.
func (s *Site) StopWorkers(ctx context.Context) error {
	var all []*child.Process
	for _, w := range s.Workers {
		all = append(all, w.Process)
	}
	return child.StopAll(ctx, all)
}

// StopNodes asks all nodes to end.
func (s *Site) StopNodes(ctx context.Context) error {
	var all []*child.Process
	for _, n := range s.Nodes {
		all = append(all, n.Process)
	}
	return child.StopAll(ctx, all)
}

// Close ends what still runs, and the network.
func (s *Site) Close() error {
	for _, n := range s.Nodes {
		if n.Process != nil && n.Process.Running() {
			n.Process.Kill()
		}
	}
	for _, w := range s.Workers {
		if w.Process != nil && w.Process.Running() {
			w.Process.Kill()
		}
	}
	s.closeSpares()
	err := s.look.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, s.Net.Close())
}
