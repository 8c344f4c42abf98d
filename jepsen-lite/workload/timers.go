package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// Everything in this workload has to do with time: jobs that wait for theirs, schedules that tick each second,
// queues with rates, windows and slots, attempts and jobs that are out of time. What has to be true of it is in the
// log, and so the checks are among those of every run: T1 to T5 in package checker.

var (
	// napTask sleeps for a random part of its input, in ms.
	napTask = sdk.NewTask("chaos.nap", func(ctx context.Context, mostMS int64) (int64, error) {
		ms := rand.Int64N(mostMS + 1)
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			return ms, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 1000, First: 20 * time.Millisecond, Cap: 200 * time.Millisecond, CrashLimit: 1000}))

	// jotTask is done at once. Its results are of the type of napTask's, as settling expects. Its limit is on the task, and not on a queue.
	jotTask = sdk.NewTask("chaos.jot", func(context.Context, string) (int64, error) { return 0, nil })

	// hangTask goes on until it is stopped: its two attempts are out of time after half a second each.
	hangTask = sdk.NewTask("chaos.hang", func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}, sdk.HardTimeout(500*time.Millisecond), sdk.Retry(sdk.RetryPolicy{MaxAttempts: 2, First: 20 * time.Millisecond, CrashLimit: 1000}))
)

const (
	queueRate, queueWindow, queueFew = "rate", "window", "few"
	queueNobody                      = "nobody" // that no worker serves
)

func init() {
	register(Workload{
		Name:  "timers",
		About: "jobs that wait for their time or run out of it, schedules that tick each second under all policies, and queues with rates, windows and slots",
		Units: func(string) []sdk.Registrable { return []sdk.Registrable{napTask, jotTask, hangTask} },
		Worker: func(c *sdk.WorkerConfig) {
			c.Queues = map[string]int{"default": 6, queueRate: 4, queueWindow: 4, queueFew: 4}
		},
		Run:    runTimers,
		Settle: settleTimers,
		Check:  checkTimers,
	})
}

// bounds are the limits at the beginning of a run. Some of their numbers change during it. The longer ones remember more
// than an election takes: what a new leader forgets of them shows.
var bounds = []sdk.Limit{
	{Scope: sdk.LimitQueue, Name: queueRate, Kind: sdk.LimitRate, N: 20, Period: time.Second, Burst: 5},
	{Scope: sdk.LimitQueue, Name: queueRate, Kind: sdk.LimitRate, PerPartition: true, N: 7, Period: 700 * time.Millisecond, Burst: 2},
	{Scope: sdk.LimitTask, Name: "chaos.jot", Kind: sdk.LimitWindow, N: 8, Period: 6 * time.Second},
	{Scope: sdk.LimitQueue, Name: queueWindow, Kind: sdk.LimitWindow, N: 12, Period: time.Second},
	{Scope: sdk.LimitQueue, Name: queueWindow, Kind: sdk.LimitWindow, PerPartition: true, N: 6, Period: time.Second},
	{Scope: sdk.LimitQueue, Name: queueFew, Kind: sdk.LimitConcurrency, N: 4},
	{Scope: sdk.LimitQueue, Name: queueFew, Kind: sdk.LimitConcurrency, PerPartition: true, N: 2},
	{Scope: sdk.LimitTask, Name: "chaos.nap", Kind: sdk.LimitRate, N: 60, Period: time.Second, Burst: 10},
}

// pausedSchedule is the one that is paused and resumed during a run, and movedSchedule the one that gets other times.
const pausedSchedule, movedSchedule = "paused", "moved"

// tickers are the schedules, each with the most that its jobs sleep.
var tickers = []struct {
	sdk.Schedule
	mostMS int64
	from   time.Duration // of its start after the load's; 0: it has none
	to     time.Duration // of its end likewise
}{
	{Schedule: sdk.Schedule{Name: "every", Every: time.Second, Overlap: sdk.OverlapAllow, Missed: sdk.MissedFireAll, MissedMax: 50}, mostMS: 200},
	{Schedule: sdk.Schedule{Name: "once", Every: time.Second, Overlap: sdk.OverlapAllow}, mostMS: 200},
	{Schedule: sdk.Schedule{Name: "skip", Every: time.Second, Overlap: sdk.OverlapSkip}, mostMS: 1500},
	{Schedule: sdk.Schedule{Name: "one", Every: time.Second, Overlap: sdk.OverlapQueueOne, Missed: sdk.MissedFireAll, MissedMax: 5}, mostMS: 1500},
	{Schedule: sdk.Schedule{Name: "old", Every: time.Second, Overlap: sdk.OverlapCancelOld, Missed: sdk.MissedFireAll, MissedMax: 5}, mostMS: 2500},
	{Schedule: sdk.Schedule{Name: "cron", Cron: "* * * * * *", Overlap: sdk.OverlapAllow, Missed: sdk.MissedSkip, MaxLateness: 1500 * time.Millisecond}, mostMS: 200},
	{Schedule: sdk.Schedule{Name: pausedSchedule, Every: 2 * time.Second, Overlap: sdk.OverlapAllow, Missed: sdk.MissedFireAll, MissedMax: 20}, mostMS: 200},
	{Schedule: sdk.Schedule{Name: "jitter", Every: time.Second, Jitter: 600 * time.Millisecond, Overlap: sdk.OverlapAllow, Missed: sdk.MissedFireAll, MissedMax: 50}, mostMS: 200},
	{Schedule: sdk.Schedule{Name: "jitter-old", Every: time.Second, Jitter: time.Hour, Overlap: sdk.OverlapCancelOld}, mostMS: 1500},
	{Schedule: sdk.Schedule{Name: "jitter-cron", Cron: "*/2 * * * * *", Jitter: 1900 * time.Millisecond, Overlap: sdk.OverlapQueueOne, Missed: sdk.MissedSkip, MaxLateness: time.Second}, mostMS: 2500},
	{Schedule: sdk.Schedule{Name: "zone", Cron: "1-59/3 * * * * *", Zone: "Europe/Berlin", Overlap: sdk.OverlapSkip, Missed: sdk.MissedFireAll, MissedMax: 3}, mostMS: 2500},
	{Schedule: sdk.Schedule{Name: "bounded", Every: time.Second, Overlap: sdk.OverlapQueueOne, Missed: sdk.MissedFireAll, MissedMax: 5}, mostMS: 1500, from: 2500 * time.Millisecond, to: 8 * time.Second},
	{Schedule: sdk.Schedule{Name: "jitter-bounded", Every: time.Second, Jitter: 900 * time.Millisecond, Overlap: sdk.OverlapAllow, Missed: sdk.MissedFireAll, MissedMax: 20}, mostMS: 200, from: time.Second, to: 10 * time.Second},
	{Schedule: sdk.Schedule{Name: movedSchedule, Every: time.Second, Overlap: sdk.OverlapAllow, Missed: sdk.MissedFireAll, MissedMax: 20}, mostMS: 200},
}

func runTimers(ctx context.Context, l *Load) error {
	if err := setTimers(ctx, l); err != nil {
		return err
	}
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			for n := 0; ctx.Err() == nil; n++ {
				runTimed(ctx, l, "c"+strconv.Itoa(c), fmt.Sprintf("c%d-%d", c, n), r)
			}
		})
	}
	clients.Go(func() { tuneTimers(ctx, l) })
	clients.Wait()
	return nil
}

func setTimers(ctx context.Context, l *Load) error {
	for _, b := range bounds {
		if _, err := l.Do("tuner", "set-limit", b.Name, string(b.Kind), func() (string, error) { return "", l.Client.SetLimit(ctx, b) }); err != nil {
			return err
		}
	}
	for _, t := range tickers {
		if t.from != 0 {
			t.Start, t.End = time.Now().Add(t.from), time.Now().Add(t.to)
		}
		if _, err := l.Do("tuner", "set-schedule", t.Name, "", func() (string, error) { return "", napTask.Schedule(ctx, l.Client, t.mostMS, t.Schedule) }); err != nil {
			return err
		}
	}
	return nil
}

// tuneTimers changes limits, stops one schedule and lets it go on, and gives another one other times.
func tuneTimers(ctx context.Context, l *Load) {
	r := rand.New(rand.NewPCG(l.Seed, 1<<20))
	for n := 0; rest(ctx, 2*time.Second); n++ {
		call, cancel := context.WithTimeout(ctx, opTimeout)
		b := bounds[r.IntN(len(bounds))]
		b.N = max(1, b.N/2+r.IntN(b.N+1))
		_, _ = l.Do("tuner", "set-limit", b.Name, fmt.Sprintf("%s %d", b.Kind, b.N), func() (string, error) { return "", l.Client.SetLimit(call, b) })
		if n%2 == 0 {
			_, _ = l.Do("tuner", "pause-schedule", pausedSchedule, "", func() (string, error) { return "", l.Client.PauseSchedule(call, pausedSchedule, "chaos") })
		} else {
			_, _ = l.Do("tuner", "resume-schedule", pausedSchedule, "", func() (string, error) { return "", l.Client.ResumeSchedule(call, pausedSchedule) })
		}
		moved := sdk.Schedule{Name: movedSchedule, Every: time.Duration(1000+500*r.IntN(3)) * time.Millisecond, Overlap: sdk.OverlapAllow,
			Missed: sdk.MissedFireAll, MissedMax: 20, Jitter: time.Duration(r.IntN(2)) * 500 * time.Millisecond}
		if r.IntN(3) == 0 {
			moved.Start = time.Now().Add(time.Duration(r.IntN(4000)-2000) * time.Millisecond)
		}
		_, _ = l.Do("tuner", "set-schedule", movedSchedule, moved.Every.String(), func() (string, error) { return "", napTask.Schedule(call, l.Client, 200, moved) })
		cancel()
	}
}

// runTimed submits one job of some kind, and waits for its end, whatever it is.
func runTimed(ctx context.Context, l *Load, client, key string, r *rand.Rand) {
	part := sdk.Partition("p" + strconv.Itoa(r.IntN(3)))
	queue := sdk.Queue([]string{queueRate, queueWindow, queueFew}[r.IntN(3)])
	switch r.IntN(13) {
	case 12: // nobody waits for it, so that there are always more than may begin
		call, cancel := context.WithTimeout(ctx, opTimeout)
		defer cancel()
		_, _ = submitTimed(call, l, client, key, jotTask, key)
	case 0:
		timed(ctx, l, client, key, hangTask, key)
	case 1:
		timed(ctx, l, client, key, napTask, 1500, sdk.JobTimeout(time.Second))
	case 2:
		timed(ctx, l, client, key, napTask, 10, sdk.StartWithin(300*time.Millisecond), sdk.Queue(queueNobody))
	case 3:
		timed(ctx, l, client, key, napTask, 100, sdk.StartWithin(100*time.Millisecond), queue, part)
	case 4:
		timed(ctx, l, client, key, napTask, 100, sdk.QueueWait(100*time.Millisecond), queue, part)
	case 5, 6, 7:
		timed(ctx, l, client, key, napTask, 5, sdk.RunIn(time.Duration(r.Int64N(int64(2*time.Second)))))
	default:
		timed(ctx, l, client, key, napTask, 100, queue, part)
	}
}

// timed is runJob for jobs that may end in any way.
func timed[In, Out any](ctx context.Context, l *Load, client, key string, u sdk.Submittable[In, Out], in In, opts ...sdk.SubmitOption) {
	call, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	job, err := submitTimed(call, l, client, key, u, in, opts...)
	if err != nil {
		return
	}
	_, _ = l.Do(client, "await", job.ID(), "", func() (string, error) {
		_, err := job.Await(call)
		return endOf(err)
	})
}

func submitTimed[In, Out any](ctx context.Context, l *Load, client, key string, u sdk.Submittable[In, Out], in In, opts ...sdk.SubmitOption) (job *sdk.Job[Out], err error) {
	_, err = l.Do(client, "submit", key, "", func() (string, error) {
		var err error
		if job, err = u.Submit(ctx, l.Client, in, append(opts, sdk.JobKey(key))...); err != nil {
			return "", err
		}
		return job.ID(), nil
	})
	return job, err
}

// endOf is how a job has ended, when it has.
func endOf(err error) (string, error) {
	var ended *sdk.JobError
	switch {
	case err == nil:
		return string(sdk.Success), nil
	case errors.As(err, &ended):
		return string(ended.State), nil
	}
	return "", err
}

// settleTimers waits for the end of every job, those of the schedules too.
func settleTimers(ctx context.Context, l *Load) error {
	for _, t := range tickers {
		if err := l.Client.PauseSchedule(ctx, t.Name, "the run is over"); err != nil {
			return err
		}
	}
	if err := awaitAll(l, func(id string) error {
		_, err := endOf(func() error { _, err := napTask.Attach(l.Client, id).Await(ctx); return err }())
		return err
	}); err != nil {
		return err
	}
	for _, t := range tickers {
		for {
			s, err := l.Client.GetSchedule(ctx, t.Name)
			if err != nil {
				return err
			}
			if s.GetRunning() == 0 {
				break
			}
			if !rest(ctx, 100*time.Millisecond) {
				return fmt.Errorf("%d jobs of schedule %s do not end: %w", s.GetRunning(), t.Name, ctx.Err())
			}
		}
	}
	return nil
}

// checkTimers compares the ends that clients were told with those that the log leads to.
func checkTimers(e *evidence.Evidence) []evidence.Verdict {
	right := evidence.Verdict{ID: "S2", Rule: "a client that was told how a job ended was told the right end"}
	v := e.Ledger.Machine.View()
	defer v.Close()
	for _, op := range e.Ops {
		if op.Kind != "await" || op.Outcome != history.OK {
			continue
		}
		right.Count++
		id, err := fsm.ParseJobID(op.Key)
		if err == nil {
			var j *fsm.JobView
			if j, err = v.Job(id); err == nil && j.State.String() != op.Value {
				err = errors.New("it is " + j.State.String())
			}
		}
		if err != nil {
			right.Violate(fmt.Sprintf("job %s was answered with %s at %v: %v", op.Key, op.Value, op.End, err))
		}
	}
	return []evidence.Verdict{right}
}
