package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) dead() *cobra.Command {
	return group("dead", "See dead jobs, and run them again", a.deadList(), a.deadGroups(), a.deadRetry(), a.deadDiscard(), a.deadRedrives(), a.deadStop())
}

// deadFlags are the flags that select dead jobs.
type deadFlags struct {
	namespace, workflow, queue, errorType, fingerprint, since, until string
}

func (f *deadFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().StringVar(&f.workflow, "workflow", "", "only jobs of this workflow, or task")
	cmd.Flags().StringVar(&f.queue, "queue", "", "only jobs that died in this queue")
	cmd.Flags().StringVar(&f.errorType, "error-type", "", "only jobs with an error of this type")
	cmd.Flags().StringVar(&f.fingerprint, "fingerprint", "", "only jobs of this group of errors (dead groups)")
	cmd.Flags().StringVar(&f.since, "since", "", "only jobs that died since then: RFC 3339, or a duration ago (24h)")
	cmd.Flags().StringVar(&f.until, "until", "", "only jobs that died before then")
}

func (f *deadFlags) empty() bool {
	return f.workflow == "" && f.queue == "" && f.errorType == "" && f.fingerprint == "" && f.since == "" && f.until == ""
}

func (f *deadFlags) filter() (*apiv1.DeadFilter, error) {
	out := &apiv1.DeadFilter{Workflow: f.workflow, Queue: f.queue, ErrorType: f.errorType, Fingerprint: f.fingerprint}
	var err error
	if out.SinceMs, err = deadTime("--since", f.since); err != nil {
		return nil, err
	}
	out.UntilMs, err = deadTime("--until", f.until)
	return out, err
}

func deadTime(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-d).UnixMilli(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, exit.Usagef("%s %q is neither a time (2026-01-02T15:04:05Z) nor a duration ago (24h)", flag, text)
	}
	return t.UnixMilli(), nil
}

func (a *app) deadList() *cobra.Command {
	var f deadFlags
	var request apiv1.ListDeadRequest
	cmd := &cobra.Command{
		Use: "list", Short: "List the dead jobs, the newest first", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			client, err := a.client()
			if err != nil {
				return err
			}
			request.Namespace = f.namespace
			if request.Filter, err = f.filter(); err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListDead, &request)
			if err != nil {
				return err
			}
			if token := answer.GetNextPageToken(); token != "" {
				fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("JOB", "DIED", "WORKFLOW", "STEP", "QUEUE", "GROUP", "ERROR")
				for _, j := range answer.GetJobs() {
					rows.Add(j.GetId(), ago(j.GetFinishedMs()), j.GetWorkflow(), j.GetStep(), j.GetQueue(), j.GetFingerprint(), j.GetErrorType()+": "+j.GetMessage())
				}
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 100, "how many jobs")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	return cmd
}

func ago(ms int64) string {
	return output.Duration(time.Since(time.UnixMilli(ms))) + " ago"
}

func (a *app) deadGroups() *cobra.Command {
	var f deadFlags
	cmd := &cobra.Command{
		Use: "groups", Short: "Group the dead jobs by their errors, the largest group first", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			filter, err := f.filter()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListDeadGroups, &apiv1.ListDeadGroupsRequest{Namespace: f.namespace, Filter: filter})
			if err != nil {
				return err
			}
			if answer.GetPartial() {
				fmt.Fprintln(a.err, "there are more than the newest 100,000 dead jobs, or the largest 1,000 groups: narrow down by --since or --workflow")
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("GROUP", "JOBS", "FIRST", "LAST", "WORKFLOWS", "NEWEST", "ERROR")
				for _, g := range answer.GetGroups() {
					rows.Add(g.GetFingerprint(), g.GetJobs(), ago(g.GetFirstMs()), ago(g.GetLastMs()), strings.Join(g.GetWorkflows(), ","),
						g.GetNewest().GetId(), g.GetNewest().GetErrorType()+": "+g.GetNewest().GetMessage())
				}
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) deadRetry() *cobra.Command {
	var f deadFlags
	var all bool
	var rate, reason string
	cmd := &cobra.Command{
		Use: "retry [ID] [--all | FILTER] [--rate N/s]", Short: "Run dead jobs again: one, or those that a filter selects, at a rate",
		Long: `Runs dead jobs again from where they stopped. With an ID that job, at once. Otherwise the jobs that the flags select (or
--all), the oldest first, at a rate; it prints the id of the redrive, which goes on in the cluster by itself (dead redrives, dead stop).`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := onlyID(cmd, f, all); err != nil {
					return err
				}
				answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.RetryJob, &apiv1.RetryJobRequest{Id: args[0], Namespace: f.namespace})
				if err != nil {
					return err
				}
				return a.printer().Message(answer, func(rows *output.Rows) { rows.Add(answer.GetState()) })
			}
			return a.redrive(cmd, client, f, all, rate, &apiv1.StartRedriveRequest{Reason: reason})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all dead jobs of the namespace")
	cmd.Flags().StringVar(&rate, "rate", "100/s", "at most so many jobs in a second, minute or hour: 100/s, 10/m")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	return cmd
}

// onlyID refuses an ID with a selection: it would be unclear whether one job is meant or all of them.
func onlyID(cmd *cobra.Command, f deadFlags, all bool) error {
	if all || !f.empty() || cmd.Flags().Changed("rate") {
		return exit.Usagef("%s takes an ID, or flags that select jobs, or --all, and --rate only with the latter", cmd.CommandPath())
	}
	return nil
}

// redrive starts a redrive of what the flags select.
func (a *app) redrive(cmd *cobra.Command, client *remote.Client, f deadFlags, all bool, rate string, q *apiv1.StartRedriveRequest) (err error) {
	if all != f.empty() {
		return exit.Usagef("%s takes an ID, or flags that select jobs, or --all", cmd.CommandPath())
	}
	q.Id, q.Namespace = ulid.Make().String(), f.namespace
	if q.Filter, err = f.filter(); err != nil {
		return err
	}
	if q.Jobs, q.PeriodMs, err = redriveRate(rate); err != nil {
		return err
	}
	answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.StartRedrive, q)
	if err != nil {
		return err
	}
	return a.printer().Message(answer, func(rows *output.Rows) { rows.Add(answer.GetId()) })
}

// redriveRate reads 100/s, 10/m or 5/h.
func redriveRate(text string) (jobs uint32, periodMS int64, err error) {
	n, unit, _ := strings.Cut(text, "/")
	count, err := strconv.ParseUint(n, 10, 32)
	period, ok := map[string]int64{"s": 1000, "m": 60_000, "h": 3_600_000}[unit]
	if err != nil || !ok || count == 0 || count > 1000 {
		return 0, 0, exit.Usagef("--rate %q: write 1 to 1000 jobs in a second, minute or hour, as in 100/s, 10/m, 5/h", text)
	}
	return uint32(count), period, nil
}

func (a *app) deadDiscard() *cobra.Command {
	var f deadFlags
	var all bool
	var rate, reason string
	cmd := &cobra.Command{
		Use: "discard [ID] [--all | FILTER] --reason TEXT", Short: "Remove dead jobs for good: one, or those that a filter selects",
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "reason"); err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := onlyID(cmd, f, all); err != nil {
					return err
				}
				answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.DiscardJob, &apiv1.DiscardJobRequest{Id: args[0], Namespace: f.namespace, Reason: reason})
				if err != nil {
					return err
				}
				return a.printer().Message(answer, func(rows *output.Rows) { rows.Add("discarded") })
			}
			return a.redrive(cmd, client, f, all, rate, &apiv1.StartRedriveRequest{Discard: true, Reason: reason})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all dead jobs of the namespace")
	cmd.Flags().StringVar(&rate, "rate", "1000/s", "at most so many jobs in a second, minute or hour: 100/s, 10/m")
	cmd.Flags().StringVar(&reason, "reason", "", "why: it removes jobs that were never done")
	return cmd
}

func (a *app) deadRedrives() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "redrives", Short: "List the redrives: those that run, and the last hundred that have ended", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListRedrives, &apiv1.ListRedrivesRequest{Namespace: namespace})
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("REDRIVE", "STATE", "DOES", "DONE", "REFUSED", "STARTED", "REASON", "LAST REFUSAL")
				for _, r := range answer.GetRedrives() {
					does := "retry"
					if r.GetDiscard() {
						does = "discard"
					}
					rows.Add(r.GetId(), r.GetState(), does, r.GetDone(), r.GetRefused(), ago(r.GetStartedMs()), output.Dash(r.GetReason()), output.Dash(r.GetRefusal()))
				}
			})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

func (a *app) deadStop() *cobra.Command {
	return a.onJob("stop REDRIVE", "Stop a redrive where it is", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.StopRedrive, &apiv1.StopRedriveRequest{Id: id, Namespace: f.namespace})
		if err != nil {
			return err
		}
		return a.printer().Message(answer, func(rows *output.Rows) {
			if answer.GetEnded() {
				rows.Add("it had ended before; see `fanfold dead redrives`")
			} else {
				rows.Add("stopped")
			}
		})
	})
}
