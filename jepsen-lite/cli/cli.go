// Package cli is the commands of jepsen-lite: `go run ./jepsen-lite` and `fanfold chaos` are both made of it.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/trial"
	"github.com/fanfold/fanfold/jepsen-lite/workload"
)

// Exit codes beside 0.
const (
	CodeViolated = 1 // an invariant was broken
	CodeUsage    = 2
	CodeInvalid  = 3 // the run proves nothing
	CodeFailed   = 4 // the run could not be run or judged
)

// Error is an error with its exit code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the exit code of an error that a command returned.
func CodeOf(err error) int {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	}
	return CodeUsage
}

// Command makes the command with all sub-commands. prefix are the arguments that lead to it when this very
// executable is started again: none, or "chaos".
func Command(use string, prefix ...string) *cobra.Command {
	root := &cobra.Command{
		Use: use, Short: "Break a cluster on this machine, and judge whether it kept its promises",
		Long: `Starts nodes and workers as processes of their own, with a network between them that can be cut and slowed down, keeps them
busy, breaks them, heals them, and compares what clients were told with what the committed log says.`,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(runCommand(prefix), matrixCommand(prefix), bugbankCommand(), digestCommand(), listCommand(), simCommand(prefix), simServeCommand(), nodeCommand(), workerCommand())
	root.AddCommand(faultCommands()...)
	return root
}

func runCommand(prefix []string) *cobra.Command {
	var c trial.Config
	var out string
	var format string
	cmd := &cobra.Command{
		Use: "run", Short: "Run one workload under the nemeses named", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if done, err := inNamespace(cmd.Context(), c.Nemeses); done {
				return err
			}
			executable, err := os.Executable()
			if err != nil {
				return &Error{CodeFailed, err}
			}
			c.Command, c.Program = append([]string{executable}, prefix...), use(prefix)
			if c.Dir, err = runDir(out); err != nil {
				return &Error{CodeFailed, err}
			}
			c.Note = func(text string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), text+"\n", args...) }
			s, err := trial.Run(cmd.Context(), c)
			if err != nil {
				return &Error{CodeFailed, fmt.Errorf("%w\nwhat is left of the run is in %s", err, c.Dir)}
			}
			return conclude(cmd.OutOrStdout(), s, format)
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Nodes, "nodes", 3, "how many nodes")
	f.IntVar(&c.Workers, "workers", 4, "how many worker processes")
	f.IntVar(&c.Clients, "clients", 8, "how many clients at once")
	f.StringVar(&c.Workload, "workload", "submit", "what keeps the cluster busy; `list` names them")
	f.StringSliceVar(&c.Nemeses, "nemesis", nil, "what breaks it, with commas between; `list` names them")
	f.DurationVar(&c.Time, "time", 30*time.Second, "how long the load lasts")
	f.DurationVar(&c.Settle, "settle", 0, "how long jobs may take to end when everything is healed (default 5m)")
	f.Uint64Var(&c.Seed, "seed", 0, "of all random choices of the run (0: drawn, and shown)")
	f.StringVar(&c.Mode, "mode", trial.Safety, "safety: strike and heal, at random; liveness: strike once, do not heal, and demand progress; quiet: break nothing, and demand that the leader stays")
	f.StringVar(&c.LogStore, "log-store", "wal", "where the nodes keep their logs: wal or bolt")
	f.BoolVar(&c.Race, "race", false, "build the nodes with the race detector")
	f.StringVar(&c.NodeBinary, "node-binary", "", "a jepsen-lite to run the nodes with; nemeses inside the nodes need one built with the tag chaos (default: this one, or one that is built when it is needed)")
	f.StringVar(&out, "dir", "", "directory for all that the run leaves (default: a new one below the system's temporary one)")
	f.StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

func use(prefix []string) string {
	if len(prefix) == 0 {
		return "go run ./jepsen-lite"
	}
	return "fanfold " + strings.Join(prefix, " ")
}

func runDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "jepsen-lite-")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		return "", errors.Join(err, fmt.Errorf("%s is not empty: give the run a directory of its own", dir))
	}
	return filepath.Abs(dir)
}

// conclude prints a summary, keeps it beside the evidence, and turns it into an exit code.
func conclude(w io.Writer, s *trial.Summary, format string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err = errors.Join(err, s.Save()); err != nil {
		return &Error{CodeFailed, err}
	}
	if format == "json" {
		fmt.Fprintf(w, "%s\n", data)
	} else {
		printSummary(w, s)
	}
	switch {
	case s.Violated():
		return &Error{CodeViolated, fmt.Errorf("an invariant was broken; the evidence is in %s", s.Dir)}
	case len(s.Invalid) > 0:
		return &Error{CodeInvalid, fmt.Errorf("the run proves nothing: %s", strings.Join(s.Invalid, "; "))}
	}
	return nil
}

func printSummary(w io.Writer, s *trial.Summary) {
	fmt.Fprintf(w, "run:       %s on %d nodes with %s, %d workers, %.0f s, %d entries in the log, seed %d\n", s.Workload, s.Nodes, s.LogStore, s.Workers, s.Seconds, s.Entries, s.Seed)
	for _, kind := range sortedKeys(s.Operations) {
		n := s.Operations[kind]
		fmt.Fprintf(w, "  %-8s %d ok, %d failed, %d unknown\n", kind, n["ok"], n["fail"], n["unknown"])
	}
	n := s.Submissions
	fmt.Fprintf(w, "submitted: %d acknowledged, %d lost, %d duplicated, %d unexpected, %d recovered, %d of unknown outcome never happened\n",
		n.Acked, n.Lost, n.Duplicated, n.Unexpected, n.Recovered, n.Never)
	fmt.Fprintf(w, "faults:    %d\n", len(s.Faults))
	for _, v := range s.Verdicts {
		mark := "ok      "
		switch {
		case v.Idle():
			mark = "idle    " // nothing of the run could have broken it
		case !v.Held():
			mark = "VIOLATED"
		}
		fmt.Fprintf(w, "  %-3s %s %7d  %s\n", v.ID, mark, v.Count, v.Rule)
		for _, line := range v.Violations {
			fmt.Fprintf(w, "        %s\n", line)
		}
	}
	fmt.Fprintf(w, "gaps:      %d of a second or more without a success, the longest of %v\n", len(s.Gaps), s.LongestGap.Round(time.Millisecond))
	fmt.Fprintf(w, "leaders:   %d; the runner itself was kept waiting for %v at most\n", len(s.Leaders), s.Lag.Round(time.Millisecond))
	for _, n := range s.Vitals {
		fmt.Fprintf(w, "%s:        %d -> %d goroutines, %d -> %d files, %d -> %d sockets, %d KB of log and votes, %d KB of state\n",
			n.Node, n.Before.Goroutines, n.After.Goroutines, n.Before.Files, n.After.Files, n.Before.Sockets, n.After.Sockets, n.Bytes["raft"]>>10, n.Bytes["state"]>>10)
	}
	fmt.Fprintf(w, "evidence:  %s\n", s.Dir)
	fmt.Fprintf(w, "report:    %s\n", filepath.Join(s.Dir, "report.html"))
	fmt.Fprintf(w, "again:     %s\n", s.Again)
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The workloads and the nemeses", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			w := cmd.OutOrStdout()
			fmt.Fprintln(w, "workloads:")
			for _, l := range workload.All() {
				fmt.Fprintf(w, "  %-18s %s\n", l.Name, l.About)
			}
			fmt.Fprintln(w, "nemeses:")
			for _, n := range nemesis.All() {
				fmt.Fprintf(w, "  %-18s %s\n", n.Name, n.About)
			}
		},
	}
}

// Main runs a command line and returns the exit code.
func Main(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := Command("jepsen-lite")
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(errOut, "jepsen-lite:", err)
	}
	return CodeOf(err)
}
