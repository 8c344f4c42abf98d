package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/bench"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
)

func (a *app) benchCurves() *cobra.Command {
	config := bench.CurvesConfig{}
	names, long := bench.Curves()
	cmd := &cobra.Command{
		Use:   "curves [" + strings.Join(names, "|") + "|all]...",
		Short: "Measure throughput, latency, memory and log as something grows",
		Long: `Measures each curve at sizes that are spaced logarithmically, on nodes of its own, and writes NAME.svg and NAME.json to
--dir. What is cut by a bound of time, or fails, is named in both and has no value. "all" is everything but ` + strings.Join(long, ", ") + `;
--to goes beyond a curve's own end, or stops before it: "backlog --to 10000000" and "length" (30 minutes) take long.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || slices.Contains(args, "all") {
				args = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(long, name) })
			}
			for _, name := range args {
				if !slices.Contains(names, name) {
					return exit.Usagef("unknown curve %q: use %s or all", name, strings.Join(names, ", "))
				}
			}
			if config.Nodes < 0 || config.Clients < 1 || config.Payload < 0 || config.From < 0 || config.To < 0 || config.For <= 0 || config.Bound < 0 {
				return exit.Usagef("--clients is at least 1, --for is above 0, and --nodes, --payload, --from, --to and --bound are not negative")
			}
			config.Names = args
			config.Note = func(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }
			data, err := os.MkdirTemp(config.Dir, "fanfold-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(data)
			config.Dir = data
			done, err := bench.RunCurves(cmd.Context(), config, buildVersion())
			if printed := a.printer().Value(done, func(rows *output.Rows) { curvesTable(rows, done) }); printed != nil {
				return printed
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&config.Nodes, "nodes", 0, "how many nodes (default: each curve's own, 1 or 3)")
	flags.DurationVar(&config.For, "for", 5*time.Second, "how long a point is measured")
	flags.DurationVar(&config.Bound, "bound", 0, "how long a curve may take (default: each curve's own)")
	flags.Float64Var(&config.From, "from", 0, "the smallest size (default: each curve's own)")
	flags.Float64Var(&config.To, "to", 0, "the largest size (default: each curve's own)")
	flags.IntVar(&config.Payload, "payload", 200, "bytes of JSON of each task")
	flags.IntVar(&config.Clients, "clients", 64, "submitters, and tasks that the worker runs at once")
	flags.StringVar(&config.LogStore, "log-store", "", "of the nodes: bolt or wal (default: that of fanfold server)")
	flags.StringVar(&config.Dir, "data", "", "where the nodes keep their data (default: the folder for temporary files)")
	flags.StringVar(&config.Out, "dir", "", "where to write NAME.svg and NAME.json (default: nowhere)")
	flags.StringVar(&config.Commit, "commit", "", "what is measured, for the conditions (default: what the executable knows)")
	flags.BoolVar(&config.Missing, "missing", false, "leave out the curves whose NAME.json is in --dir; they are drawn again from it")
	return cmd
}

func curvesTable(rows *output.Rows, all []*bench.Curve) {
	for i, c := range all {
		if i > 0 {
			rows.Add()
		}
		co := &c.Conditions
		rows.Add(fmt.Sprintf("%s: %d node(s), %d CPUs, fsync %.2f ms, load %.1f before, commit %s", c.Name, co.Nodes, co.CPUs, co.Fsync, co.Load, co.Commit))
		keys := map[string]bool{}
		for _, p := range c.Points {
			for key := range p.Values {
				keys[key] = true
			}
		}
		columns := slices.Sorted(maps.Keys(keys))
		head := []any{strings.ToUpper(c.X), "RUN"}
		for _, key := range columns {
			head = append(head, strings.ToUpper(key))
		}
		rows.Add(head...)
		for _, p := range c.Points {
			if p.Step {
				continue
			}
			cells := []any{strings.TrimSuffix(fmt.Sprintf("%.3f", p.X), ".000"), output.Dash(p.Series)}
			for _, key := range columns {
				cell := "-"
				if v, ok := p.Values[key]; ok {
					cell = number(v)
				}
				cells = append(cells, cell)
			}
			if why := p.Missing + p.Error; why != "" {
				cells = append(cells, why)
			}
			rows.Add(cells...)
		}
		for _, v := range c.Verdicts {
			held := "missed"
			if v.Held {
				held = "reached"
			}
			rows.Add(fmt.Sprintf("%s: %s: %s %s", held, v.Aim, number(v.Value), v.Unit))
		}
	}
}
