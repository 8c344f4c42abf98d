package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/bench"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
)

func (a *app) bench() *cobra.Command {
	config := bench.Config{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench [" + strings.Join(bench.Workloads(), "|") + "|all]...",
		Short: "Measure a cluster on this machine",
		Long: `Starts nodes as processes of their own with fresh data, measures, and removes them. The client and the worker are in
this process, so the processor time of the nodes is theirs alone. "all" is everything but backlog.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || slices.Contains(args, "all") {
				args = bench.All()
			}
			for _, name := range args {
				if !slices.Contains(bench.Workloads(), name) {
					return exit.Usagef("unknown workload %q: use %s or all", name, strings.Join(bench.Workloads(), ", "))
				}
			}
			if config.Nodes < 1 || config.Clients < 1 || config.Tasks < 0 {
				return exit.Usagef("--nodes and --clients are at least 1, --tasks is not negative")
			}
			config.Workloads = args
			config.Note = func(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }
			dir, err := os.MkdirTemp(config.Dir, "fanfold-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			config.Dir = dir
			report, err := bench.Run(cmd.Context(), config, buildVersion())
			if asJSON {
				a.format = string(output.JSON)
			}
			if printed := a.printer().Value(report, func(rows *output.Rows) { benchTable(rows, report) }); printed != nil {
				return printed
			}
			return err
		},
	}
	cmd.AddCommand(a.benchCurves())
	flags := cmd.Flags()
	flags.IntVar(&config.Nodes, "nodes", 1, "how many nodes")
	flags.IntVar(&config.Tasks, "tasks", 0, "tasks of drain (default 20000) or backlog (default 1000000)")
	flags.IntVar(&config.Payload, "payload", 200, "bytes of JSON of each task")
	flags.IntVar(&config.Clients, "clients", 64, "submitters, and tasks that the worker runs at once")
	flags.DurationVar(&config.Span, "span", 10*time.Second, "how long single submits are measured")
	flags.StringVar(&config.Dir, "data", "", "where the nodes keep their data (default: the folder for temporary files)")
	flags.BoolVar(&asJSON, "json", false, "the same as -o json")
	return cmd
}

func benchTable(rows *output.Rows, report *bench.Report) {
	rows.Add(fmt.Sprintf("%d node(s), %d CPUs, %s, fsync %.2f ms, payload %d B, %d clients",
		report.Nodes, report.CPUs, report.System, report.Fsync, report.Payload, report.Clients))
	rows.Add("WORKLOAD", "MEASURE", "VALUE", "UNIT", "SERVER CPU s", "CLIENT CPU s", "SERVER RSS")
	for _, result := range report.Results {
		for i, value := range result.Values {
			cells := []any{result.Workload, value.Name, number(value.Value), value.Unit}
			if i == 0 {
				cells = append(cells, known(result.ServerCPU, "%.2f"), known(result.ClientCPU, "%.2f"), size(result.ServerRSS))
			}
			rows.Add(cells...)
		}
	}
}

// number prints large values without and small ones with digits after the point.
func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func known(v float64, format string) string {
	if v < 0 {
		return "not known"
	}
	return fmt.Sprintf(format, v)
}

func size(bytes int64) string {
	if bytes < 0 {
		return "not known"
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
