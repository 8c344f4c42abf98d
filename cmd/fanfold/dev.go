package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/jepsen-lite/child"
)

// devFlags are the flags of `fanfold dev`.
type devFlags struct {
	nodes, workers, rounds int
	data, kill, log        string
	demo, keep             bool
	seed                   uint64
	ttl                    time.Duration
}

func (a *app) dev() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev [--nodes 1|3] [--demo [PATH]]",
		Short: "Run a cluster on this machine, for development or as a demo",
		Long: `Without --demo: runs a cluster and prints its addresses and a first command, until Ctrl-C. One node runs in this
process; three are processes of their own. The data is in a temporary folder and removed at the end, unless --data or
--keep says otherwise.

With --demo: counts and indexes the words of all text files under PATH (default: the source tree of Go) on the cluster,
kills a process on the way, compares the answer with other programs', and exits with 1 on any difference.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !f.demo {
				return exit.Usagef("dev takes a path only with --demo")
			}
			return arguments(cobra.MaximumNArgs(1))(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.nodes != 1 && f.nodes != 3 && f.nodes != 5 {
				return exit.Usagef("--nodes %d: use 1, 3 or 5", f.nodes)
			}
			if f.seed == 0 {
				f.seed = rand.Uint64()
			}
			dir, cleanUp, err := f.directory()
			if err != nil {
				return err
			}
			switch {
			case f.demo:
				err = a.devDemo(cmd.Context(), f, dir, args)
			case f.nodes == 1:
				err = a.devEmbedded(cmd.Context(), f, dir)
			default:
				err = a.devCluster(cmd.Context(), f, dir)
			}
			return errors.Join(err, cleanUp(err))
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.nodes, "nodes", 1, "how many nodes: 1, 3 or 5")
	flags.StringVar(&f.data, "data", "", "where to keep the data (default: a temporary folder)")
	flags.BoolVar(&f.keep, "keep", false, "keep the temporary folder")
	flags.StringVar(&f.log, "log", "warn", "log level of the node in this process (one node, no demo)")
	flags.BoolVar(&f.demo, "demo", false, "run the demo on the folder PATH, then stop")
	flags.IntVar(&f.workers, "workers", 3, "demo: how many worker processes")
	flags.StringVar(&f.kill, "kill", "leader", "demo: what to kill: leader, follower, worker, freeze (a worker past its lease), random or none")
	flags.IntVar(&f.rounds, "rounds", 1, "demo: how often to run the jobs")
	flags.Uint64Var(&f.seed, "seed", 0, "demo: seed of the random choices (default: drawn, and printed on failure)")
	flags.DurationVar(&f.ttl, "lease-ttl", 2*time.Second, "demo: how long a silent worker keeps its tasks")
	cmd.AddCommand(a.devWorker())
	return cmd
}

// directory returns where the data goes, and what to do about it at the end: a temporary folder is
// removed unless something failed.
func (f devFlags) directory() (dir string, cleanUp func(error) error, err error) {
	keep := func(error) error { return nil }
	if f.data != "" {
		if dir, err = filepath.Abs(f.data); err != nil {
			return "", nil, err
		}
		return dir, keep, os.MkdirAll(dir, 0o755)
	}
	if dir, err = os.MkdirTemp("", "fanfold-dev-"); err != nil {
		return "", nil, err
	}
	return dir, func(failed error) error {
		if f.keep || failed != nil && !errors.Is(failed, context.Canceled) {
			return nil
		}
		return os.RemoveAll(dir)
	}, nil
}

// loopback is where a developer's receivers of webhooks are.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// devEmbedded runs one node in this process.
func (a *app) devEmbedded(ctx context.Context, f devFlags, dir string) error {
	ports, err := child.Ports(2)
	if err != nil {
		return err
	}
	if child.Free(cluster.DefaultAPIAddress) {
		ports[0] = cluster.DefaultAPIAddress
	}
	logger, err := newLogger(a.err, f.log)
	if err != nil {
		return err
	}
	config := cluster.Config{NodeID: "n1", DataDir: dir, APIAddress: ports[0], RaftAddress: ports[1], Logger: logger, Version: buildVersion(), WebhookAllow: loopback}
	return runNode(ctx, config, func() {
		fmt.Fprintf(a.out, "One node runs in this process.\n  API   %s\n  data  %s\n", ports[0], dir)
		a.firstCommand(ports[:1])
	})
}

// devCluster runs several nodes as processes.
func (a *app) devCluster(ctx context.Context, f devFlags, dir string) error {
	c, err := procs.NewCluster(dir, f.nodes, cluster.DefaultAPIAddress)
	if err != nil {
		return err
	}
	for _, network := range loopback {
		c.Args = append(c.Args, "--webhook-allow", network.String())
	}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return c.StopAll(ctx)
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.StartAll(ready); err != nil {
		return errors.Join(err, stop())
	}
	fmt.Fprintf(a.out, "%d nodes run, each a process of its own; their data and logs are in %s\n", f.nodes, dir)
	for _, node := range c.Nodes {
		fmt.Fprintf(a.out, "  %s  pid %-7d API %s  Raft %s\n", node.ID, node.Process.PID(), node.API, node.Raft)
	}
	a.firstCommand(c.Addresses())
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	seen := make(map[string]bool)
	for {
		select {
		case <-ctx.Done():
			return stop()
		case <-ticker.C:
		}
		for _, node := range c.Nodes { // killing one is what people do with this: say so and go on
			if !node.Process.Running() && !seen[node.ID] {
				seen[node.ID] = true
				fmt.Fprintf(a.err, "node %s has ended; start it again by: %s\n", node.ID, strings.Join(c.Command(node), " "))
			}
		}
	}
}

// firstCommand prints what to try next. At the default address no other is needed: that node knows the
// leader.
func (a *app) firstCommand(addresses []string) {
	prefix := ""
	if addresses[0] != defaultAddress {
		prefix = "FANFOLD_ADDR=" + strings.Join(addresses, ",") + " "
	}
	fmt.Fprintf(a.out, "Try in another terminal:\n  %s%s cluster status\n  %sgo run ./docs/examples/order\nCtrl-C stops.\n",
		prefix, commandName(), prefix)
}

// commandName is how the user has started this program.
func commandName() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, "go-build") {
		return "go run ./cmd/fanfold"
	}
	return os.Args[0]
}
