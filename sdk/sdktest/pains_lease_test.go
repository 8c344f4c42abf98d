package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// The rows about leases: who has a task, since when, and what happens when that one dies.

// Pain 1: elsewhere a delayed task is handed to a worker at once, and again whenever a timer of an hour ends.
func laterRunsOnceWhenDue(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	var log journal
	task := sdk.NewTask("later", func(ctx context.Context, n int) (int, error) {
		log.note(ctx, "later")
		return n, nil
	})
	due := time.Now().Add(2 * time.Hour) // longer than the timer that elsewhere gives it out again
	job := must(task.Submit(t.Context(), c.Client(), 1, sdk.StartAt(due)))(t)
	for range 2 {
		c.StartWorker(sdk.WorkerConfig{LeaseTTL: time.Minute}, task)
	}
	time.Sleep(time.Until(due) - time.Millisecond)
	if n := counters(t, c).Grants; n != 0 {
		t.Errorf("before it was due the task had been leased %d times", n)
	}
	result(t, job)
	starts := log.of("later")
	if len(starts) != 1 || starts[0].at.Before(due) {
		t.Errorf("started at %v; due once at %v", starts, due)
	}
}

// Pain 2: elsewhere the message is gone with the worker that had taken it.
func killedWorkersTasksEnd(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	w := c.StartWorker(sdk.WorkerConfig{}, slowSquares)
	job := must(slowSquares.Submit(t.Context(), c.Client(), 40))(t)
	time.Sleep(1500 * time.Millisecond)
	w.Isolate() // for good: to the cluster it is dead, with eight tasks
	c.StartWorker(sdk.WorkerConfig{}, slowSquares)
	if got := result(t, job); got != 22140 {
		t.Errorf("got %d", got)
	}
	if n := counters(t, c).Crashes; n != 8 {
		t.Errorf("%d tasks were lost with the worker; it had 8", n)
	}
}

// Pain 8: elsewhere the first run of a task whose lock was lost still completes it, beside the second.
func lateResultIsRefused(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	var log journal
	late := make(chan string)
	task := sdk.NewTask("zombie", func(ctx context.Context, _ int) (string, error) {
		log.note(ctx, "zombie")
		if len(log.of("zombie")) == 1 {
			return <-late, nil // does not heed its context
		}
		return "second", nil
	})
	first := c.StartWorker(sdk.WorkerConfig{}, task)
	job := must(task.Submit(t.Context(), c.Client(), 0))(t)
	synctest.Wait()
	first.Isolate()
	c.StartWorker(sdk.WorkerConfig{}, task)
	if got := result(t, job); got != "second" {
		t.Errorf("got %q", got)
	}
	first.Rejoin()
	late <- "first"
	time.Sleep(5 * time.Second)
	if got := result(t, job); got != "second" {
		t.Errorf("the late result became the job's: %q", got)
	}
	starts := log.of("zombie")
	if len(starts) != 2 || starts[0].fence >= starts[1].fence {
		t.Errorf("fences of the starts: %v; they must grow, so that a store can refuse the first", starts)
	}
	if n := counters(t, c); n.Stale != 1 || n.Completions != 1 {
		t.Errorf("%d reports refused, %d results accepted", n.Stale, n.Completions)
	}
}

// Pain 16: elsewhere a flood of delayed tasks lies in the workers' memory.
func nothingIsHeldAhead(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	task := sdk.Declare[int, int]("flood")
	due := time.Now().Add(time.Minute)
	must(sdk.SubmitBatch(t.Context(), c.Client(), task, make([]int, 300), sdk.StartAt(due)))(t)
	must(sdk.SubmitBatch(t.Context(), c.Client(), task, make([]int, 300)))(t)
	w := startHandWorker(t, c, 3, "flood")
	time.Sleep(2 * time.Minute)
	if n := len(w.assigned); n != 3 {
		t.Fatalf("a worker of 3 slots holds %d tasks", n)
	}
	for range 10 { // one is done, one comes
		w.report("1", <-w.assigned)
		synctest.Wait()
		if n := len(w.assigned); n != 3 {
			t.Fatalf("a worker of 3 slots holds %d tasks", n)
		}
	}
}

// Pain 20: elsewhere a task that runs for more than 30 minutes starts again beside itself.
func longTaskRunsOnce(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	var log journal
	task := sdk.NewTask("long", func(ctx context.Context, d time.Duration) (string, error) {
		log.note(ctx, "long")
		return "done", sleep(ctx, d)
	})
	for range 2 { // there is another that could take it
		c.StartWorker(sdk.WorkerConfig{}, task)
	}
	job := must(task.Submit(t.Context(), c.Client(), 40*time.Minute))(t) // 160 leases
	time.Sleep(10 * time.Minute)
	c.KillLeader()
	result(t, job)
	if starts := log.of("long"); len(starts) != 1 {
		t.Errorf("the task was started %d times: %v", len(starts), starts)
	}
	if n := counters(t, c); n.Grants != 1 || n.Crashes != 0 || n.Stale != 0 {
		t.Errorf("%d leases, %d lost, %d reports refused", n.Grants, n.Crashes, n.Stale)
	}
}

// Pain 21: elsewhere a rescue goes by the age of the attempt: too early for the living, too late for the dead.
func rescueGoesByLiveness(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	var log journal
	task := sdk.NewTask("rescued", func(ctx context.Context, what string) (string, error) {
		log.note(ctx, what)
		return what, sleep(ctx, 30*time.Minute)
	})
	const ttl = 10 * time.Second
	one := map[string]int{"default": 1}
	c.StartWorker(sdk.WorkerConfig{Name: "lives", Queues: one, LeaseTTL: ttl}, task)
	old := must(task.Submit(t.Context(), c.Client(), "old"))(t)
	time.Sleep(20 * time.Minute)
	dies := c.StartWorker(sdk.WorkerConfig{Name: "dies", Queues: one, LeaseTTL: ttl}, task)
	young := must(task.Submit(t.Context(), c.Client(), "young"))(t)
	time.Sleep(time.Second)
	c.StartWorker(sdk.WorkerConfig{Name: "heir", Queues: one}, task)
	dies.Isolate()
	died := time.Now()
	result(t, young)
	result(t, old)
	if starts := log.of("old"); len(starts) != 1 || starts[0].worker != "lives" {
		t.Errorf("the task of the worker that lived was started by %v", starts)
	}
	starts := log.of("young")
	if len(starts) != 2 || starts[1].worker != "heir" {
		t.Fatalf("the dead worker's task was started by %v", starts)
	}
	if d := starts[1].at.Sub(died); d > ttl+time.Second {
		t.Errorf("the dead worker's task waited for %v; its lease was %v", d, ttl)
	}
}

// Pain 22: elsewhere a task is active for ever, because its lease was in another place and is gone.
func startedHasALease(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	const ttl = 5 * time.Second
	w := c.StartWorker(sdk.WorkerConfig{LeaseTTL: ttl}, slowSquares)
	job := must(slowSquares.Submit(t.Context(), c.Client(), 30))(t)
	time.Sleep(1500 * time.Millisecond)
	w.Isolate() // worker and leader in the same moment
	c.KillLeader()
	time.Sleep(30 * time.Second)
	for _, task := range listTasks(t, c, job.ID()) {
		if task.State == "STARTED" {
			t.Errorf("%s[%d] is STARTED, and its worker has been dead for 30 s", task.Step, task.Shard)
		}
	}
	c.StartWorker(sdk.WorkerConfig{LeaseTTL: ttl}, slowSquares)
	time.Sleep(1500 * time.Millisecond)
	sessions := listSessions(t, c)
	started := 0
	for _, task := range listTasks(t, c, job.ID()) {
		if task.State == "STARTED" {
			started++
			if !slices.Contains(sessions, task.Session) {
				t.Errorf("%s[%d] is leased to session %d; there are %v", task.Step, task.Shard, task.Session, sessions)
			}
		}
	}
	if started == 0 {
		t.Error("nothing was seen to run")
	}
	if got := result(t, job); got != 9455 {
		t.Errorf("got %d", got)
	}
}

func listTasks(t *testing.T, c *sdktest.Cluster, job string) (tasks []*apiv1.TaskStatus) {
	t.Helper()
	err := c.Client().Call(t.Context(), func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListTasks(ctx, connect.NewRequest(&apiv1.ListTasksRequest{Id: job, PageSize: 1000}))
		if err == nil {
			tasks = res.Msg.Tasks
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tasks
}

func listSessions(t *testing.T, c *sdktest.Cluster) (sessions []uint64) {
	t.Helper()
	err := c.Client().Call(t.Context(), func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListWorkers(ctx, connect.NewRequest(&apiv1.ListWorkersRequest{}))
		if err == nil {
			sessions = nil
			for _, w := range res.Msg.Workers {
				sessions = append(sessions, w.Session)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

// Pain 14: elsewhere what was acknowledged is lost when the replica takes over.
func acknowledgedSurvivesTheLeader(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	var acknowledged []*sdk.Job[int]
	for i := range 30 {
		acknowledged = append(acknowledged, must(square.Submit(t.Context(), c.Client(), i))(t))
		if i%10 == 5 { // in the very moment of the acknowledgement; what was not synced is lost with it
			id := c.KillLeader()
			c.Leader()
			if err := c.Restart(id); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
	}
	c.StartWorker(sdk.WorkerConfig{}, square)
	for i, job := range acknowledged {
		if got := result(t, job); got != i*i {
			t.Errorf("job %d: got %d", i, got)
		}
	}
	if n := counters(t, c); n.JobsSubmitted != 30 || n.JobsSucceeded != 30 {
		t.Errorf("%d jobs, %d succeeded; 30 were acknowledged", n.JobsSubmitted, n.JobsSucceeded)
	}
}

// Pain 18: elsewhere a cancel is a message to those workers that live, and is forgotten with them.
func cancelSurvivesRestarts(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	var log journal
	causes := make(chan error, 1)
	task := sdk.NewTask("canceled", func(ctx context.Context, what string) (string, error) {
		log.note(ctx, what)
		err := sleep(ctx, time.Hour)
		causes <- err
		return what, err
	})
	queued := must(task.Submit(t.Context(), c.Client(), "queued"))(t)
	due := must(task.Submit(t.Context(), c.Client(), "due", sdk.StartAt(time.Now().Add(time.Minute))))(t)
	for _, job := range []*sdk.Job[string]{queued, due} {
		if err := job.Cancel(t.Context(), "no longer wanted"); err != nil {
			t.Fatal(err)
		}
	}
	w := c.StartWorker(sdk.WorkerConfig{}, task)
	running := must(task.Submit(t.Context(), c.Client(), "running"))(t)
	time.Sleep(time.Second)
	w.Isolate() // the worker does not hear of it, and the leader that knows dies
	if err := running.Cancel(t.Context(), "no longer wanted"); err != nil {
		t.Fatal(err)
	}
	c.KillLeader()
	c.Leader()
	w.Rejoin()
	if cause := <-causes; !errors.Is(cause, sdk.ErrJobCanceled) && !errors.Is(cause, sdk.ErrLeaseLost) {
		t.Errorf("the running task ended with %v", cause)
	}
	c.StartWorker(sdk.WorkerConfig{}, task)
	time.Sleep(2 * time.Minute)
	if got := log.order(); fmt.Sprint(got) != "[running]" {
		t.Errorf("started: %v", got)
	}
	for _, job := range []*sdk.Job[string]{queued, due, running} {
		if status := must(job.Status(t.Context()))(t); status.State != string(sdk.Canceled) || status.CancelReason != "no longer wanted" {
			t.Errorf("%s, %q", status.State, status.CancelReason)
		}
	}
}

// Pain 24: elsewhere there is one server, and when it is gone everything is.
func anyNodeMayBeLost(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	c.StartWorker(sdk.WorkerConfig{}, slowSquares)
	for _, id := range c.Nodes() {
		job := must(slowSquares.Submit(t.Context(), c.Client(), 20))(t)
		time.Sleep(1500 * time.Millisecond)
		c.Kill(id)
		if got := result(t, job); got != 2870 {
			t.Errorf("without %s: got %d", id, got)
		}
		if err := c.Restart(id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
	}
	sameHashes(t, c, 3)
}
