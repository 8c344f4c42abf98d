package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) limit() *cobra.Command {
	return group("limit", "See and set limits of queues and tasks", a.limitList(), a.limitSet(), a.limitDelete())
}

func (a *app) limitList() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "list", Short: "List the limits, and how full they are", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListLimits, &apiv1.ListLimitsRequest{Namespace: namespace})
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("ON", "NAME", "LIMIT", "EACH", "HELD", "PARTITIONS", "STATE")
				for _, s := range answer.GetLimits() {
					l, each, partitions := s.GetLimit(), "all", "-"
					if l.GetPerPartition() {
						each, partitions = "partition", fmt.Sprint(s.GetPartitions())
					}
					rows.Add(strings.ToLower(l.GetScope()), l.GetName(), limitText(l), each, s.GetHeld(), partitions, limitState(s, time.Now()))
				}
			})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

func limitText(l *apiv1.Limit) string {
	period := (time.Duration(l.GetPeriodMs()) * time.Millisecond).String()
	switch l.GetKind() {
	case "RATE":
		return fmt.Sprintf("rate %d/%s burst %d", l.GetN(), period, l.GetBurst())
	case "WINDOW":
		return fmt.Sprintf("window %d/%s", l.GetN(), period)
	}
	return fmt.Sprintf("concurrency %d", l.GetN())
}

func limitState(s *apiv1.LimitStatus, now time.Time) string {
	switch {
	case !s.GetFull():
		return "open"
	case s.GetFreeMs() == 0:
		return "full"
	case s.GetFreeMs() <= now.UnixMilli(): // it was full when the log last had an entry
		return "open"
	}
	return "full for " + output.Duration(time.UnixMilli(s.GetFreeMs()).Sub(now))
}

// limitFlags name a limit, and its numbers.
type limitFlags struct {
	namespace, rate, window string
	concurrency, burst      uint64
	perPartition            bool
	kind                    string
}

func (a *app) limitSet() *cobra.Command {
	var f limitFlags
	cmd := &cobra.Command{
		Use: "set (queue|task) NAME (--rate N/PERIOD | --window N/PERIOD | --concurrency N)", Short: "Make a limit, or change its numbers at once",
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := f.limit(args)
			if err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.SetLimit, &apiv1.SetLimitRequest{Limit: limit})
			return a.done(err, "%s %s has the limit %s", args[0], args[1], limitText(limit))
		},
	}
	cmd.Flags().StringVar(&f.rate, "rate", "", "N/PERIOD, evenly spaced, as in 100/1m")
	cmd.Flags().Uint64Var(&f.burst, "burst", 1, "with --rate: how many may begin at once after a pause")
	cmd.Flags().StringVar(&f.window, "window", "", "N/PERIOD: at most N begin in any window of this length")
	cmd.Flags().Uint64Var(&f.concurrency, "concurrency", 0, "at most N run at a time")
	cmd.Flags().BoolVar(&f.perPartition, "per-partition", false, "each partition has its own N")
	cmd.Flags().StringVar(&f.namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

func (f *limitFlags) limit(args []string) (*apiv1.Limit, error) {
	l, err := f.identity(args)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, on := range []bool{f.rate != "", f.window != "", f.concurrency != 0} {
		if on {
			given++
		}
	}
	if given != 1 {
		return nil, exit.Usagef("give exactly one of --rate, --window and --concurrency")
	}
	switch {
	case f.rate != "":
		l.Kind, l.Burst = "RATE", f.burst
		l.N, l.PeriodMs, err = parseRate("--rate", f.rate)
	case f.window != "":
		l.Kind = "WINDOW"
		l.N, l.PeriodMs, err = parseRate("--window", f.window)
	default:
		l.Kind, l.N = "CONCURRENCY", f.concurrency
	}
	return l, err
}

func (f *limitFlags) identity(args []string) (*apiv1.Limit, error) {
	scope := strings.ToUpper(args[0])
	if scope != "QUEUE" && scope != "TASK" {
		return nil, exit.Usagef("a limit is on a queue or a task, and not on a %q", args[0])
	}
	return &apiv1.Limit{Namespace: f.namespace, Scope: scope, Name: args[1], PerPartition: f.perPartition, Kind: strings.ToUpper(f.kind)}, nil
}

// parseRate reads N/PERIOD; a period without a number is one of its unit: 10/s.
func parseRate(flag, text string) (n uint64, ms int64, err error) {
	count, period, ok := strings.Cut(text, "/")
	if ok {
		n, err = strconv.ParseUint(count, 10, 64)
	}
	if !ok || err != nil || n == 0 {
		return 0, 0, exit.Usagef("%s %q: write N/PERIOD, as in 100/1m", flag, text)
	}
	if period != "" && (period[0] < '0' || period[0] > '9') {
		period = "1" + period
	}
	d, err := time.ParseDuration(period)
	if err != nil || d < time.Millisecond {
		return 0, 0, exit.Usagef("%s %q: %q is not a period of at least 1ms, as in 1m", flag, text, period)
	}
	return n, d.Milliseconds(), nil
}

func (a *app) limitDelete() *cobra.Command {
	var f limitFlags
	cmd := &cobra.Command{
		Use: "delete (queue|task) NAME --kind (rate|window|concurrency)", Short: "Remove a limit; what waited for it alone begins at once",
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "kind"); err != nil {
				return err
			}
			limit, err := f.identity(args)
			if err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.DeleteLimit, &apiv1.DeleteLimitRequest{Limit: limit})
			return a.done(err, "%s %s has no limit of %s any more", args[0], args[1], strings.ToLower(f.kind))
		},
	}
	cmd.Flags().StringVar(&f.kind, "kind", "", "rate, window or concurrency")
	cmd.Flags().BoolVar(&f.perPartition, "per-partition", false, "the limit that each partition has")
	cmd.Flags().StringVar(&f.namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}
