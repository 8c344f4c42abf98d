package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/jepsen-lite/sim"
)

// simServe is the hidden command of the process that runs simulations.
const simServe = "sim-serve"

func simCommand(prefix []string) *cobra.Command {
	c := sim.Campaign{}
	var keep sim.Keep
	var format string
	var plan, writes bool
	var step int
	cmd := &cobra.Command{
		Use: "sim", Short: "Run simulated clusters in one process, thousands of seeds", Args: cobra.NoArgs,
		Long: `Runs clusters whose network, disks and clocks are in memory, under virtual time. Each seed is a plan of operations and
faults of its own. A plan that breaks an invariant is shrunk, and the command that repeats it is printed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if plan {
				return printPlan(cmd.OutOrStdout(), c.Tier, c.First, keep)
			}
			executable, err := os.Executable()
			if err != nil {
				return &Error{CodeFailed, err}
			}
			c.Keep = keep.Of
			c.Runner = &sim.Runner{Command: append(append([]string{executable}, prefix...), simServe)}
			defer c.Runner.Close()
			c.Note = func(text string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), text+"\n", args...) }
			var totals *sim.Totals
			switch {
			case writes && keep.Crash != "":
				totals, err = c.OneWrite(cmd.Context(), keep.Crash)
			case writes:
				totals, err = c.Writes(cmd.Context(), step)
			default:
				totals, err = c.Run(cmd.Context())
			}
			return concludeSim(cmd.OutOrStdout(), totals, use(prefix), format, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Tier, "tier", sim.TierCluster, strings.Join(sim.Tiers, " or "))
	f.Uint64Var(&c.First, "first", 1, "the first seed")
	f.IntVar(&c.Seeds, "seeds", 100, "how many seeds")
	f.StringVar(&keep.Ops, "ops", "", "of the plan, only these operations, with commas between, or none (default: all)")
	f.StringVar(&keep.Faults, "faults", "", "of the plan, only these faults, with commas between, or none (default: all)")
	f.DurationVar(&keep.Load, "load", 0, "how long there are operations and faults (default: as the plan says)")
	f.StringVar(&keep.Crash, "crash", "", "lose the power of a node at a write: node/write/before or node/write/after, nodes from 0, writes from 1")
	f.BoolVar(&c.Shrink, "shrink", true, "make what fails smaller")
	f.BoolVar(&c.Twice, "twice", false, "run each plan a second time, and count how many histories are the same")
	f.IntVar(&c.Stop, "stop", 3, "end after so many failures; 0: never")
	f.BoolVar(&writes, "writes", false, "instead: run one scenario again and again, and lose the power of each node at each of its writes")
	f.IntVar(&step, "step", 1, "of --writes: crash at every step-th write")
	f.BoolVar(&plan, "plan", false, "show the plan of the first seed, and run nothing")
	f.StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// simServeCommand runs the plans that another process sends.
func simServeCommand() *cobra.Command {
	return &cobra.Command{
		Use: simServe, Hidden: true, Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { sim.Serve(os.Stdin, os.Stdout) },
	}
}

func printPlan(w io.Writer, tier string, seed uint64, keep sim.Keep) error {
	p, err := sim.Generate(tier, seed)
	if err == nil {
		err = keep.Of(&p)
	}
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(p)
}

// concludeSim prints what a campaign came to, and turns it into an exit code. err is of one that was stopped.
func concludeSim(w io.Writer, t *sim.Totals, program, format string, err error) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if failed := e.Encode(t); failed != nil {
			return &Error{CodeFailed, failed}
		}
	} else {
		printTotals(w, t, program)
	}
	switch {
	case t.Failed > 0:
		return &Error{CodeViolated, fmt.Errorf("%d of %d seeds failed", t.Failed, t.Seeds)}
	case errors.Is(err, context.Canceled):
		return &Error{CodeFailed, errors.New("stopped before its end")}
	case err != nil:
		return &Error{CodeFailed, err}
	}
	return nil
}

func printTotals(w io.Writer, t *sim.Totals, program string) {
	for _, f := range t.Failures {
		fmt.Fprintf(w, "seed %d FAILED: %s\n", f.Seed, f.Why)
		for _, v := range f.Result.Broken {
			for _, line := range v.Violations {
				fmt.Fprintf(w, "  %-3s %s\n", v.ID, line)
			}
		}
		fmt.Fprintf(w, "  again: %s %s   (%d of %d runs failed again)\n", program, f.Again, f.Repeats, f.Tries)
	}
	fmt.Fprintf(w, "faults:   ")
	for _, kind := range sortedKeys(t.Fired) {
		fmt.Fprintf(w, " %s %d", kind, t.Fired[kind])
	}
	fmt.Fprintf(w, "\nchecked:  ")
	for _, id := range sortedKeys(t.Checked) {
		fmt.Fprintf(w, " %s %d", id, t.Checked[id])
	}
	if t.Twice > 0 {
		fmt.Fprintf(w, "\ntwice:     %d of %d plans had the same history again", t.Same, t.Twice)
	}
	fmt.Fprintf(w, "\n%d seeds of tier %s from %d on: %d failed; %d calls, %d jobs acknowledged, %d log entries, %d disk writes; %.1f cluster-hours simulated in %.0f s of CPU (%.0f s), %.0f seeds a minute of CPU\n",
		t.Seeds, t.Tier, t.First, t.Failed, t.Ops, t.Acked, t.Entries, t.Writes, t.ClusterHours(), t.CPU.Seconds(), t.Real.Seconds(), t.PerMinute())
}
