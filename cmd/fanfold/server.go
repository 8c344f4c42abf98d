package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/jepsen-lite/child"
)

func (a *app) server() *cobra.Command {
	config := cluster.Config{Version: buildVersion()}
	var peers []string
	var join, level, logStore string
	var withParent bool
	var allow []string
	cmd := &cobra.Command{
		Use:   "server --id ID --data DIR [--api ADDR] [--raft ADDR] [--peers ID=RAFT/API,... | --join API,...]",
		Short: "Run one node of a cluster",
		Long: `Runs one node until SIGTERM or SIGINT. With --peers, the nodes named (this one among them) found a cluster
together: give all of them the same list. With --join, the node asks a running cluster to take it in. With neither, it
founds a cluster of its own. All three matter at the first start only: later the data directory knows.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "id", "data"); err != nil {
				return err
			}
			for _, text := range peers {
				p, err := parsePeer(text)
				if err != nil {
					return exit.With(exit.Usage, "", err)
				}
				config.Peers = append(config.Peers, cluster.Peer{ID: p.id, RaftAddress: p.raft, APIAddress: p.api})
			}
			config.Join = remote.Addresses(join)
			var err error
			if config.OpenLogs, err = cluster.LogsIn(logStore); err != nil {
				return exit.Usagef("--log-store %q: wal or bolt", logStore)
			}
			for _, text := range allow {
				network, err := netip.ParsePrefix(text)
				if err != nil {
					return exit.Usagef("--webhook-allow %q: give a network, as 10.1.0.0/16", text)
				}
				config.WebhookAllow = append(config.WebhookAllow, network)
			}
			logger, err := newLogger(a.err, level)
			if err != nil {
				return err
			}
			config.Logger = logger
			tuneGC()
			ctx := cmd.Context()
			if withParent {
				var cancel context.CancelFunc
				ctx, cancel = child.WithParent(ctx)
				defer cancel()
			}
			return runNode(ctx, config, nil)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&config.NodeID, "id", "", "name of the node, for ever (required)")
	flags.StringVar(&config.DataDir, "data", "", "data directory (required)")
	flags.StringVar(&config.APIAddress, "api", cluster.DefaultAPIAddress, "where to serve the API")
	flags.StringVar(&config.RaftAddress, "raft", cluster.DefaultRaftAddress, "where to talk to the other nodes")
	flags.StringVar(&config.APIAdvertise, "api-advertise", "", "where others reach the API (default: --api)")
	flags.StringVar(&config.RaftAdvertise, "raft-advertise", "", "where others reach --raft (default: --raft)")
	flags.StringSliceVar(&peers, "peers", nil, "the nodes that found a cluster together, as id=raft/api")
	flags.StringVar(&join, "join", "", "API addresses of a cluster to join")
	flags.Uint64Var(&config.TrailingLogs, "trailing-logs", 0, "log entries kept for followers that lag (default 20480)")
	flags.Uint64Var(&config.SnapshotThreshold, "snapshot-threshold", 0, "log entries between two flushes of the state (default 8192)")
	flags.StringVar(&logStore, "log-store", "wal", "where a new node keeps its log: wal (files of its own), or bolt; one that has a log goes on with it")
	flags.Int64Var(&config.CacheBytes, "cache", 0, "bytes of block cache (default: chosen by the store)")
	flags.StringSliceVar(&allow, "webhook-allow", nil, "networks that webhooks may be delivered to although they are not public")
	flags.StringVar(&level, "log", "info", "log level: debug, info, warn, error")
	flags.BoolVar(&withParent, child.ParentFlag, false, "stop when standard input ends")
	_ = flags.MarkHidden(child.ParentFlag)
	return cmd
}

// runNode runs a node in this process until ctx ends. opened, if not nil, is called when the
// addresses and the data directory are the node's.
func runNode(ctx context.Context, config cluster.Config, opened func()) error {
	node, err := cluster.Open(config)
	if err != nil {
		return nodeError(err)
	}
	if opened != nil {
		opened()
	}
	return nodeError(errors.Join(node.Run(ctx), node.Close()))
}

// nodeError chooses the exit code of a node that could not start or go on.
func nodeError(err error) error {
	var stopped *cluster.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stopped):
		return exit.With(exit.Code(stopped.Code), "", err)
	case errors.Is(err, cluster.ErrInUse):
		return exit.With(exit.Conflict, "stop the other process, or give this node a directory of its own by --data", err)
	}
	return err
}

// newLogger writes lines for people and machines alike: key=value.
func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var at slog.Level
	if err := at.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, exit.Usagef("--log %q: use debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: at})), nil
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return fmt.Sprint(info.Main.Version)
	}
	return "unknown"
}
