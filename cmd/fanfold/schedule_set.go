package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// scheduleTimes are the flags that say when.
type scheduleTimes struct {
	cron, zone, start, end string
	every, jitter, late    time.Duration
	missed, overlap        string
	missedMax              uint32
}

func (f *scheduleTimes) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cron, "cron", "", `minute, hour, day of month, month, day of week; a sixth field, first, is the second; or @daily`)
	cmd.Flags().DurationVar(&f.every, "every", 0, "an interval, at least 1s")
	cmd.Flags().StringVar(&f.zone, "zone", "", "time zone of --cron, such as Europe/Berlin (default UTC)")
	cmd.Flags().StringVar(&f.start, "start", "", "no tick before this time")
	cmd.Flags().StringVar(&f.end, "end", "", "no tick at this time or after")
	cmd.Flags().DurationVar(&f.jitter, "jitter", 0, "fire each tick up to so much later")
}

func (f *scheduleTimes) addPolicies(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.missed, "missed", "fire-once", "ticks that were not fired in time: fire-once, fire-all or skip")
	cmd.Flags().Uint32Var(&f.missedMax, "missed-max", 0, "with fire-all, at most so many (default 100)")
	cmd.Flags().StringVar(&f.overlap, "overlap", "skip", "a tick while a job of the schedule runs: skip, allow, queue-one or cancel-old")
	cmd.Flags().DurationVar(&f.late, "max-lateness", 0, "a tick that could not be fired for so long is missed (default: no bound; with skip 1m)")
}

func (f *scheduleTimes) message(namespace, name string) (m *apiv1.Schedule, err error) {
	m = &apiv1.Schedule{
		Namespace: namespace, Name: name, Cron: f.cron, EveryMs: f.every.Milliseconds(), Zone: f.zone, JitterMs: f.jitter.Milliseconds(),
		LateMs: f.late.Milliseconds(), Missed: policy(f.missed), MissedMax: f.missedMax, Overlap: policy(f.overlap),
	}
	if m.StartMs, err = moment("start", f.start); err != nil {
		return nil, err
	}
	m.EndMs, err = moment("end", f.end)
	return m, err
}

func (a *app) scheduleSet() *cobra.Command {
	var times scheduleTimes
	var job submitFlags
	var paused bool
	var retain time.Duration
	cmd := &cobra.Command{
		Use:   "set NAME (--cron EXPR [--zone ZONE] | --every DURATION) (GRAPH | --task TASK) [-i JSON|@FILE|-]",
		Short: "Make a schedule, or change the one of that name",
		Long: `Makes a schedule, or changes the one of that name: each tick makes one job. Other times begin from now; the same
times again change nothing of what is due. A schedule that is paused stays paused.`,
		Args: arguments(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := times.message(job.namespace, args[0])
			if err != nil {
				return err
			}
			graph, err := a.readGraph(job, args[1:])
			if err != nil {
				return err
			}
			input, err := a.readInput(job.input)
			if err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			m.Graph, m.Input, m.Paused, m.RetainMs = dag.Encode(graph), &apiv1.Value{Inline: input}, paused, retain.Milliseconds()
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.SetSchedule, &apiv1.SetScheduleRequest{Schedule: m})
			if err != nil {
				return err
			}
			a.noteMissing(cmd.Context(), client, job.namespace, needsOf(graph))
			if answer.GetExisting() {
				return a.done(nil, "schedule %s is changed", args[0])
			}
			return a.done(nil, "schedule %s is set", args[0])
		},
	}
	times.add(cmd)
	times.addPolicies(cmd)
	cmd.Flags().StringVar(&job.task, "task", "", "the jobs are one task of this name")
	cmd.Flags().StringVar(&job.queue, "queue", "", `queue of the jobs' tasks (default: what the graph says; "default" with --task)`)
	cmd.Flags().StringVarP(&job.input, "input", "i", "null", "the jobs' input: JSON, @FILE or -; up to 256 KiB")
	cmd.Flags().StringVar(&job.namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().DurationVar(&retain, "retain", 0, "how long a job is kept after its end (default: by how it ended)")
	cmd.Flags().BoolVar(&paused, "paused", false, "a new schedule begins paused")
	return cmd
}
