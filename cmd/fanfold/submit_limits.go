package main

import (
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// timeFlags are the flags of `fanfold submit` about attempts and time.
type timeFlags struct {
	attempts                                                 uint32
	first, cap, deadline                                     time.Duration
	permanentOn, discardOn                                   []string
	attemptTimeout, hardTimeout, heartbeatTimeout, queueWait time.Duration
	startWithin, jobTimeout                                  time.Duration
	startBy                                                  string
	crashLimit                                               uint32
	factor, jitter                                           float64
}

func (f *timeFlags) add(cmd *cobra.Command) {
	cmd.Flags().Uint32Var(&f.attempts, "attempts", 0, "attempts of each task, the first included (default 25)")
	cmd.Flags().DurationVar(&f.first, "retry-first", 0, "delay after the first failure (default: the curve n^4 + 15 s)")
	cmd.Flags().DurationVar(&f.cap, "retry-cap", 0, "longest delay (default 24h)")
	cmd.Flags().Float64Var(&f.factor, "retry-factor", 0, "what the delay grows by with each failure (default 2)")
	cmd.Flags().Float64Var(&f.jitter, "retry-jitter", 0, "random part of a delay, up to 1; -1 for none (default 0.1)")
	cmd.Flags().Uint32Var(&f.crashLimit, "crash-limit", 0, "how many workers a task may lose (default 3)")
	cmd.Flags().DurationVar(&f.deadline, "retry-deadline", 0, "no attempt begins later than this after the first (default: none)")
	cmd.Flags().StringSliceVar(&f.permanentOn, "permanent-on", nil, "types of errors after which no attempt is made")
	cmd.Flags().StringSliceVar(&f.discardOn, "discard-on", nil, "types of errors that end the job quietly")
	cmd.Flags().DurationVar(&f.attemptTimeout, "attempt-timeout", 0, "soft limit of an attempt (default: none)")
	cmd.Flags().DurationVar(&f.hardTimeout, "hard-timeout", 0, "when an attempt's lease ends (default: the soft limit and 20s)")
	cmd.Flags().DurationVar(&f.heartbeatTimeout, "heartbeat-timeout", 0, "how long a function may go without a sign of life")
	cmd.Flags().DurationVar(&f.queueWait, "queue-wait", 0, "how long a task may wait for its first attempt")
	cmd.Flags().StringVar(&f.startBy, "start-by", "", "drop the job if nothing of it has started by then (RFC 3339)")
	cmd.Flags().DurationVar(&f.startWithin, "start-within", 0, "the same, from the submission on")
	cmd.Flags().DurationVar(&f.jobTimeout, "job-timeout", 0, "fail the job after this time")
}

// options writes what concerns the job itself.
func (f *timeFlags) options(o *apiv1.JobOptions) error {
	o.StartWithinMs, o.TimeoutMs = f.startWithin.Milliseconds(), f.jobTimeout.Milliseconds()
	if f.startBy != "" {
		t, err := time.Parse(time.RFC3339, f.startBy)
		if err != nil {
			return exit.Usagef("--start-by %q: write a time as 2026-01-02T15:04:05Z", f.startBy)
		}
		o.StartByMs = t.UnixMilli()
	}
	return nil
}

// override writes what was given into the options of every step.
func (f *timeFlags) override(g *dag.Graph) (*dag.Graph, error) {
	if f.factor < 0 || f.factor > 1000 || f.jitter > 1 {
		return nil, exit.Usagef("--retry-factor is from 1 to 1,000, --retry-jitter up to 1")
	}
	set := func(field *int64, d time.Duration) {
		if d != 0 {
			*field = d.Milliseconds()
		}
	}
	for i := range g.Steps {
		o := &g.Steps[i].Options
		if f.attempts != 0 {
			o.Retry.MaxAttempts = f.attempts
		}
		if f.crashLimit != 0 {
			o.Retry.CrashLimit = f.crashLimit
		}
		if f.factor != 0 {
			o.Retry.FactorMilli = uint32(math.Round(f.factor * 1000))
		}
		switch {
		case f.jitter < 0:
			o.Retry.JitterPercent = -1
		case f.jitter > 0:
			o.Retry.JitterPercent = max(1, int32(math.Round(f.jitter*100)))
		}
		if f.permanentOn != nil {
			o.Retry.PermanentOn = f.permanentOn
		}
		if f.discardOn != nil {
			o.Retry.DiscardOn = f.discardOn
		}
		set(&o.Retry.FirstMS, f.first)
		set(&o.Retry.CapMS, f.cap)
		set(&o.Retry.DeadlineMS, f.deadline)
		set(&o.TimeoutMS, f.attemptTimeout)
		set(&o.HardTimeoutMS, f.hardTimeout)
		set(&o.HeartbeatMS, f.heartbeatTimeout)
		if g.Steps[i].Kind == dag.StepTask {
			set(&o.QueueWaitMS, f.queueWait)
		}
	}
	checked, err := dag.Decode(dag.Encode(g))
	return checked, exit.With(exit.Usage, "correct the limits and submit again; nothing was stored", err)
}
