package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/archive"
	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/jepsen-lite/netem"
	"github.com/fanfold/fanfold/jepsen-lite/workload"
	"github.com/fanfold/fanfold/sdk"
)

// wholeLog makes a node keep its log from the first entry on, so that it can be replayed.
const wholeLog = 1 << 40

// segmentBytes is small, so that a run has many segments of a log: their ends are where it could break.
const segmentBytes = 1 << 20

// ownLogs opens logs in files of their own on a file system.
type ownLogs = func(vfs.FS) func(dir string) (cluster.LogStores, error)

// keeping keeps what is cut from the log in a directory; "": it does not.
func keeping(kept string, open func(string) (cluster.LogStores, error)) func(string) (cluster.LogStores, error) {
	if kept == "" {
		return open
	}
	return archive.Logs(kept, open)
}

// nodeCommand is a node of a run: a server whose way to the others leads through the run's network.
func nodeCommand() *cobra.Command {
	c := cluster.Config{Version: "chaos", TrailingLogs: wholeLog}
	var peers []string
	var doors, kept, vitals, logStore string
	var surround func(context.Context, *cluster.Config, ownLogs) error
	cmd := &cobra.Command{
		Use: "node", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := child.WithParent(cmd.Context())
			defer cancel()
			way, err := netem.ParseDoors(doors)
			if err != nil {
				return err
			}
			for _, p := range peers {
				id, addresses, _ := strings.Cut(p, "=")
				raft, api, ok := strings.Cut(addresses, "/")
				if !ok {
					return fmt.Errorf("peer %q is not of the form id=raft/api", p)
				}
				c.Peers = append(c.Peers, cluster.Peer{ID: id, RaftAddress: raft, APIAddress: api})
			}
			c.DialAPI = func(ctx context.Context, address string) (net.Conn, error) {
				return way.DialContext(ctx, "tcp", address)
			}
			c.DialRaft = func(address string, timeout time.Duration) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				return way.DialContext(ctx, "tcp", address)
			}
			c.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
			if vitals != "" {
				if err := writeVitals(ctx, vitals); err != nil {
					return err
				}
			}
			own := func(fs vfs.FS) func(string) (cluster.LogStores, error) {
				return keeping(kept, cluster.WALLogsOn(fs, segmentBytes))
			}
			c.OpenLogs = own(vfs.Default)
			if logStore == "bolt" {
				c.OpenLogs, own = keeping(kept, cluster.BoltLogs), nil
			}
			if err := surround(ctx, &c, own); err != nil {
				return err
			}
			node, err := cluster.Open(c)
			if err == nil {
				err = errors.Join(node.Run(ctx), node.Close())
			}
			var stopped *cluster.ExitError
			if errors.As(err, &stopped) {
				return &Error{stopped.Code, err}
			}
			return err
		},
	}
	surround = surroundings(cmd)
	f := cmd.Flags()
	f.StringVar(&c.NodeID, "id", "", "name of the node")
	f.StringVar(&c.DataDir, "data", "", "data directory")
	f.StringVar(&c.APIAddress, "api", "", "where to serve the API")
	f.StringVar(&c.RaftAddress, "raft", "", "where to talk to the other nodes")
	f.StringSliceVar(&peers, "peers", nil, "the nodes, as id=raft/api")
	f.StringSliceVar(&c.Join, "join", nil, "API addresses of a cluster that takes the node in")
	f.StringVar(&doors, "doors", "", "address=door,... of the others")
	f.StringVar(&vitals, "vitals", "", "file for what the process holds, twice a second")
	f.StringVar(&logStore, "log-store", "wal", "where a new node keeps its log")
	f.StringVar(&kept, "archive", "", "directory for what is cut from the log")
	f.Uint64Var(&c.TrailingLogs, "trailing-logs", c.TrailingLogs, "log entries kept for followers that lag")
	f.Uint64Var(&c.SnapshotThreshold, "snapshot-threshold", 0, "log entries between two flushes of the state")
	f.DurationVar(&c.SnapshotInterval, "snapshot-interval", 0, "how often the node looks whether a flush is due")
	f.DurationVar(&c.StallTimeout, "stall-timeout", 0, "how long a write may take before the disk counts as hanging")
	f.Bool(child.ParentFlag, true, "stop when standard input ends")
	return cmd
}

// workerCommand is a worker of a run.
func workerCommand() *cobra.Command {
	c := sdk.WorkerConfig{Queues: map[string]int{"default": 4}, LeaseTTL: 3 * time.Second}
	var name, doors, dir string
	var addresses []string
	cmd := &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := child.WithParent(cmd.Context())
			defer cancel()
			way, err := netem.ParseDoors(doors)
			if err != nil {
				return err
			}
			work, err := workload.Find(name)
			if err != nil {
				return err
			}
			logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
			client, err := sdk.NewClient(sdk.ClientConfig{Addresses: addresses, Dialer: way.DialContext, Logger: logger})
			if err != nil {
				return err
			}
			defer client.Close()
			c.Logger = logger
			if work.Worker != nil {
				work.Worker(&c)
			}
			w := sdk.NewWorker(client, c)
			w.Register(work.Units(dir)...)
			return w.Run(ctx)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Name, "name", "", "name of the worker")
	f.StringVar(&name, "workload", "", "whose tasks to offer")
	f.StringVar(&dir, "dir", "", "directory of the run")
	f.StringSliceVar(&addresses, "addresses", nil, "API addresses of the nodes")
	f.StringVar(&doors, "doors", "", "address=door,... of the nodes")
	f.Bool(child.ParentFlag, true, "stop when standard input ends")
	return cmd
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
