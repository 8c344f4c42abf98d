package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/jepsen-lite/bank"
)

func bugbankCommand() *cobra.Command {
	c := bank.Config{}
	var names []string
	var out, format string
	cmd := &cobra.Command{
		Use: "bugbank", Short: "Plant bugs in Fanfold, and demand that each is caught", Args: cobra.NoArgs,
		Long: `Builds a binary with each bug of the bank in turn, and runs the workload and the nemeses that should bring it out until an
invariant that it breaks is found broken. The same cells without a bug have to hold. It needs the go command and a checkout of
the source.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for c.Seed == 0 {
				c.Seed = rand.Uint64N(1 << 32)
			}
			var err error
			if c.Bugs, err = bank.Find(names); err != nil {
				return err
			}
			if c.Dir, err = runDir(out); err != nil {
				return &Error{CodeFailed, err}
			}
			note := cmd.ErrOrStderr()
			fmt.Fprintf(note, "%d bugs, up to %d runs each, seed %d, in %s\n", len(c.Bugs), c.Runs, c.Seed, c.Dir)
			c.Done = func(r bank.Row) {
				what := "bug " + r.Bug
				if r.Control {
					what = "no bug, " + r.Cell
				}
				fmt.Fprintf(note, "%-40s %s after %d runs, %.0f s: %s\n", what, bankVerdict(r), r.Runs, r.Seconds, bankDetail(r))
			}
			rows, err := bank.Run(cmd.Context(), c)
			return concludeBank(cmd.OutOrStdout(), rows, format, err)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&names, "bug", nil, "only these bugs, with commas between (default: all)")
	f.IntVar(&c.Runs, "runs", 10, "how many runs a bug may need")
	f.Uint64Var(&c.Seed, "seed", 0, "of a bug's first run; the next has the next one (0: drawn, and shown)")
	f.BoolVar(&c.Control, "control", true, "run every cell without a bug too")
	f.StringVar(&c.Binary, "binary", "", "a jepsen-lite that was built with the tags bug_chosen and chaos (default: it is built)")
	f.StringVar(&out, "dir", "", "directory for all that the runs leave (default: a new one below the system's temporary one)")
	f.StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

func bankVerdict(r bank.Row) string {
	switch {
	case r.Control && r.OK():
		return "held"
	case r.Control:
		return "DID NOT HOLD"
	case r.OK():
		return "caught"
	}
	return "NOT CAUGHT"
}

func bankDetail(r bank.Row) string {
	if !r.OK() {
		if len(r.Others) > 0 && !r.Control {
			return r.Why + "; broken were " + strings.Join(r.Others, " ")
		}
		return r.Why
	}
	return strings.TrimSpace(strings.Join(r.Caught, " ") + "  " + r.First)
}

// concludeBank prints the rows and turns them into an exit code. err is of a bank that was stopped.
func concludeBank(w io.Writer, rows []bank.Row, format string, err error) error {
	if format == "json" {
		data, failed := json.MarshalIndent(rows, "", "  ")
		if failed != nil {
			return &Error{CodeFailed, errors.Join(err, failed)}
		}
		fmt.Fprintf(w, "%s\n", data)
	} else {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "bug\tlaw\tcaught by\tbroken too\truns\tseconds\tcommand")
		for _, r := range rows {
			name, law := r.Bug, fmt.Sprint(r.Law)
			if r.Control {
				name, law = "(none)", ""
			}
			by := strings.Join(r.Caught, " ")
			if r.Control || !r.OK() {
				by = bankVerdict(r)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%.0f\t%s\n", name, law, by, strings.Join(r.Others, " "), r.Runs, r.Seconds, r.Command)
		}
		_ = table.Flush()
	}
	bad := 0
	for _, r := range rows {
		if !r.OK() {
			bad++
		}
	}
	switch {
	case err != nil:
		return &Error{CodeFailed, err}
	case bad > 0:
		return &Error{CodeViolated, fmt.Errorf("%d of %d rows are not as they should be: a bug that was not caught, or a cell that did not hold", bad, len(rows))}
	}
	return nil
}
