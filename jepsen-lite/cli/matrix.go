package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/jepsen-lite/matrix"
)

// tierTime is how long the load of one trial lasts in each tier: the smoke tier has four minutes in all.
var tierTime = map[string]time.Duration{"smoke": 12 * time.Second, "nightly": time.Minute, "random": 20 * time.Second}

// randomFor is how long the random tier begins new trials.
const randomFor = 2 * time.Hour

func matrixCommand(prefix []string) *cobra.Command {
	c := matrix.Config{}
	var tier, out, format string
	cmd := &cobra.Command{
		Use: "matrix", Short: "Run many workloads under many nemeses", Args: cobra.NoArgs,
		Long: `Runs the cells of a tier: smoke within four minutes, nightly every workload under every kind of fault, random any workload under up
to three nemeses of any kind for as long as --for says. A run that is invalid is run once more with another seed; a cell that is
then still invalid has not passed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for c.Seed == 0 {
				c.Seed = rand.Uint64N(1 << 32)
			}
			cells, left, err := matrix.Cells(tier, c.Seed)
			if err != nil {
				return err
			}
			executable, err := os.Executable()
			if err != nil {
				return &Error{CodeFailed, err}
			}
			c.Cells, c.Trial.Command, c.Trial.Program = cells, append([]string{executable}, prefix...), use(prefix)
			c.Trial.Time = cmp.Or(c.Trial.Time, tierTime[tier])
			if tier == "random" {
				c.For = cmp.Or(c.For, randomFor)
			}
			if c.Dir, err = runDir(out); err != nil {
				return &Error{CodeFailed, err}
			}
			c.Trial.BuildDir = c.Dir
			note := cmd.ErrOrStderr()
			within := ""
			if c.For > 0 {
				within = fmt.Sprintf(", begun within %v", c.For)
			}
			fmt.Fprintf(note, "%d cells of %v each%s, %d at a time, seed %d, in %s\n", len(cells), c.Trial.Time, within, c.Parallel, c.Seed, c.Dir)
			if len(left) > 0 {
				fmt.Fprintf(note, "not in this program, and left out: %s\n", strings.Join(left, "; "))
			}
			ended := 0
			c.Done = func(r matrix.Row) {
				ended++
				fmt.Fprintf(note, "%d/%d  %-8s  %s %s\n", ended, len(cells), r.Verdict, r.Cell, cmp.Or(strings.Join(r.Broken, " "), r.Why))
			}
			began := time.Now()
			rows, err := matrix.Run(cmd.Context(), c)
			return concludeMatrix(cmd.OutOrStdout(), &matrix.Outcome{Tier: tier, Seed: c.Seed, Seconds: time.Since(began).Seconds(), Totals: matrix.Sum(rows), LeftOut: left, Rows: rows}, c.Dir, format, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&tier, "tier", "smoke", strings.Join(matrix.Tiers, ", "))
	f.DurationVar(&c.Trial.Time, "time", 0, "how long the load of each run lasts (default: smoke 12s, nightly 1m, random 20s)")
	f.DurationVar(&c.For, "for", 0, "how long new runs are begun (default: random 2h, else until all have been)")
	f.IntVar(&c.Parallel, "parallel", 2, "how many runs at a time")
	f.StringVar(&c.Trial.LogStore, "log-store", "", "where all nodes keep their logs: wal or bolt (default: wal, and bolt in a quarter of the cells)")
	f.IntVar(&c.Trial.Nodes, "nodes", 3, "how many nodes each")
	f.IntVar(&c.Trial.Workers, "workers", 4, "how many worker processes each")
	f.IntVar(&c.Trial.Clients, "clients", 8, "how many clients each")
	f.Uint64Var(&c.Seed, "seed", 0, "of all random choices (0: drawn, and shown)")
	f.StringVar(&out, "dir", "", "directory for all that the runs leave (default: a new one below the system's temporary one)")
	f.StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// concludeMatrix prints the rows, keeps them beside the runs, and turns them into an exit code. err is of a matrix
// that was stopped.
func concludeMatrix(w io.Writer, o *matrix.Outcome, dir, format string, err error) error {
	if failed := o.Save(dir); failed != nil {
		return &Error{CodeFailed, errors.Join(err, failed)}
	}
	if format == "json" {
		pretty := json.NewEncoder(w)
		pretty.SetIndent("", "  ")
		if failed := pretty.Encode(o); failed != nil {
			return &Error{CodeFailed, failed}
		}
	} else {
		printRows(w, o, dir)
	}
	t := o.Totals
	switch {
	case t.Violated > 0:
		return &Error{CodeViolated, fmt.Errorf("an invariant was broken in %d of %d cells", t.Violated, t.Cells)}
	case err != nil && !errors.Is(err, context.Canceled):
		return &Error{CodeFailed, err}
	case err != nil:
		return &Error{CodeFailed, errors.New("stopped before its end")}
	case t.Failed > 0:
		return &Error{CodeFailed, fmt.Errorf("%d of %d cells could not be run or judged", t.Failed, t.Cells)}
	case t.Invalid > 0:
		return &Error{CodeInvalid, fmt.Errorf("%d of %d cells prove nothing", t.Invalid, t.Cells)}
	}
	return nil
}

func printRows(w io.Writer, o *matrix.Outcome, dir string) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "workload\tnemeses\tlog\tverdict\truns\tok\tunknown\tentries\tfaults\tlongest gap\tseed")
	for _, r := range o.Rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1fs\t%d\n",
			r.Workload, strings.Join(r.Nemeses, ","), r.LogStore, r.Verdict, r.Runs, r.Operations, r.Unknown, r.Entries, r.Faults, r.LongestGap.Seconds(), r.Seed)
	}
	_ = table.Flush()
	for _, r := range o.Rows {
		if r.Verdict != matrix.Held {
			fmt.Fprintf(w, "\n%s %s: %s\n  evidence: %s\n  again:    %s\n", r.Verdict, r.Cell, cmp.Or(strings.Join(r.Broken, " "), r.Why), r.Dir, r.Again)
		}
	}
	t := o.Totals
	fmt.Fprintf(w, "\n%d cells in %.0f s: %d held, %d violated, %d invalid, %d failed; %d operations ok, %d unknown, %d entries, %d faults, %d lost, %d duplicated, %d recovered, %d violations\n",
		t.Cells, o.Seconds, t.Held, t.Violated, t.Invalid, t.Failed, t.Operations, t.Unknown, t.Entries, t.Faults, t.Lost, t.Duplicated, t.Recovered, t.Violations)
	fmt.Fprintf(w, "evidence: %s\n", dir)
}

func digestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "digest directory...", Short: "Print what the matrices in these directories came to, as Markdown", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, dirs []string) error {
			var all []*matrix.Outcome
			for _, dir := range dirs {
				o, err := matrix.Load(dir)
				if err != nil {
					return err
				}
				all = append(all, o)
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), matrix.Digest(all))
			return err
		},
	}
}
