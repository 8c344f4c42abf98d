package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// The rows about graphs, queues and results.

// Pain 4: elsewhere the body of a chord never runs, or runs twice.
func fanInOnceOverFailover(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	var log journal
	body := sdk.NewTask("body", func(ctx context.Context, ns []int) (int, error) {
		log.note(ctx, "body")
		return len(ns), nil
	})
	chord := sdk.NewWorkflow("chord", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Then(sdk.Each(sdk.Then(n, split), slowSquare), body)
	})
	for range 3 {
		c.StartWorker(sdk.WorkerConfig{}, chord)
	}
	var jobs []*sdk.Job[int]
	for i := range 5 { // they end at different moments around the kills
		jobs = append(jobs, must(chord.Submit(t.Context(), c.Client(), 20+i))(t))
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(2 * time.Second)
	id := c.KillLeader() // results are on their way, and are reported again to the next
	c.Leader()
	if err := c.Restart(id); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	c.KillLeader()
	for i, job := range jobs {
		if got := result(t, job); got != 20+i {
			t.Errorf("the body of job %d saw %d results, want %d", i, got, 20+i)
		}
	}
	time.Sleep(time.Minute)
	if n := len(log.of("body")); n != len(jobs) {
		t.Errorf("%d bodies for %d chords", n, len(jobs))
	}
}

// Pain 5: elsewhere each message has a copy of the rest of the graph in it, and they grow exponentially.
func messagesCarryNoGraph(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	link := sdk.Declare[int, int]("link.of.a.chain")
	nested := sdk.NewWorkflow("nested", func(n sdk.Ref[int]) sdk.Ref[int] {
		for range 20 {
			n = sdk.Then(n, link)
		}
		return n
	})
	wide := sdk.NewWorkflow("wide", func(n sdk.Ref[int]) sdk.Ref[int] {
		for range 50 {
			n = sdk.Then(n, nested)
		}
		return n
	})
	if len(wide.Graph()) < 50_000 {
		t.Fatalf("the graph has %d bytes: not large", len(wide.Graph()))
	}
	must(wide.Submit(t.Context(), c.Client(), 0))(t)
	w := startHandWorker(t, c, 1, "link.of.a.chain")
	for i := range 100 {
		a := <-w.assigned
		if n := proto.Size(a); n > 256 {
			t.Fatalf("step %d of 1,000 is sent to its worker in %d bytes", i, n)
		}
		w.report("1", a)
	}
}

// Pain 6: elsewhere a child that is reported twice is counted twice, and a batch has -1 pending.
func reportedTwiceCountsOnce(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	fanIn := sdk.NewWorkflow("batch", func(in sdk.Ref[[]int]) sdk.Ref[int] {
		return sdk.Then(sdk.Each(in, square), countItems)
	})
	job := must(fanIn.Submit(t.Context(), c.Client(), []int{1, 2, 3, 4}))(t)
	w := startHandWorker(t, c, 8, square.Name(), countItems.Name())
	synctest.Wait()
	children := take(w.assigned)
	if len(children) != 4 {
		t.Fatalf("%d children", len(children))
	}
	three := children[:3]
	w.report("1", slices.Concat(three, three, three)...)
	w.report("1", three...)
	synctest.Wait()
	if n := len(w.assigned); n != 0 {
		t.Fatal("three children reported four times each were taken for all four")
	}
	w.report("1", children[3], children[3])
	w.report("1", children...)
	synctest.Wait()
	callbacks := take(w.assigned)
	if len(callbacks) != 1 {
		t.Fatalf("%d callbacks", len(callbacks))
	}
	w.report("4", callbacks[0])
	w.report("4", callbacks[0])
	if got := result(t, job); got != 4 {
		t.Errorf("got %d", got)
	}
	synctest.Wait()
	if n := counters(t, c); n.Completions != 5 || n.Duplicates == 0 {
		t.Errorf("%d results accepted, %d known to be duplicates", n.Completions, n.Duplicates)
	}
}

func take(from chan *apiv1.Assignment) (all []*apiv1.Assignment) {
	for len(from) > 0 {
		all = append(all, <-from)
	}
	return all
}

// Pain 7: elsewhere a parent waits for ever for a child that has failed.
func deadChildEndsTheParent(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	child := sdk.NewTask("child", func(_ context.Context, n int) (int, error) {
		if n == 3 {
			return 0, errPain
		}
		return n, nil
	}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 2, First: time.Second}))
	plain := func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(n, child) }
	list := func(n sdk.Ref[int]) sdk.Ref[[]int] { return sdk.Const(n, []int{1, 2, 3, 4}) }
	nested := sdk.NewWorkflow("nested", plain)
	ends := map[string]struct {
		parent *sdk.Workflow[int, int]
		want   int // 0: fails
	}{
		"step":     {sdk.NewWorkflow("step", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(plain(n), square) }), 0},
		"nested":   {sdk.NewWorkflow("nests", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Then(n, nested), square) }), 0},
		"each":     {sdk.NewWorkflow("each", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Each(list(n), child), sum) }), 0},
		"tolerate": {sdk.NewWorkflow("tolerate", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Each(list(n), child, sdk.Tolerate(1)), sum) }), 7},
		"settled": {sdk.NewWorkflow("settled", func(n sdk.Ref[int]) sdk.Ref[int] {
			return sdk.Then(sdk.EachSettled(list(n), child), countSettled)
		}), 4},
	}
	units := []sdk.Registrable{}
	for _, e := range ends {
		units = append(units, e.parent)
	}
	c.StartWorker(sdk.WorkerConfig{}, units...)
	for name, e := range ends {
		job := must(e.parent.Submit(t.Context(), c.Client(), 3))(t)
		got, err := await(t, job)
		if failed := errors.Is(err, sdk.ErrJobFailed); failed != (e.want == 0) || got != e.want {
			t.Errorf("%s: got %d, %v", name, got, err)
		}
	}
}

var countSettled = sdk.NewTask("count.settled", func(_ context.Context, all []sdk.Settled[int]) (int, error) { return len(all), nil })

// Pain 13: elsewhere a full store evicts what still waits.
func waitingIsNeverEvicted(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	idle := sdk.NewTask("idle", func(_ context.Context, s string) (int, error) { return len(s), nil })
	waiting := must(sdk.SubmitBatch(t.Context(), c.Client(), idle, slices.Repeat([]string{strings.Repeat("x", 1000)}, 200), sdk.Retain(time.Second)))(t)
	w := c.StartWorker(sdk.WorkerConfig{}, square)
	var ended []*sdk.Job[int]
	for i := range 50 {
		job := must(square.Submit(t.Context(), c.Client(), i, sdk.Retain(time.Second)))(t)
		result(t, job)
		ended = append(ended, job)
	}
	time.Sleep(time.Hour) // three thousand times what is kept
	for _, job := range ended {
		if _, err := job.Status(t.Context()); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("an ended job was kept for longer than was asked: %v", err)
		}
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	c.StartWorker(sdk.WorkerConfig{}, idle)
	for _, job := range waiting {
		if _, err := await(t, job); err != nil {
			t.Fatalf("a job that waited for an hour: %v", err)
		}
	}
}

// Pain 17: elsewhere tasks that cannot run fill the window of a worker, and others wait behind them.
func unofferedKindHoldsUpNobody(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	foreign := sdk.Declare[int, int]("nobody.offers.this", sdk.Priority(0))
	must(sdk.SubmitBatch(t.Context(), c.Client(), foreign, make([]int, 2000)))(t)
	c.StartWorker(sdk.WorkerConfig{Name: "busy", Queues: map[string]int{"default": 1}}, slowSquare)
	for range 3 { // one runs, two wait behind it
		must(slowSquare.Submit(t.Context(), c.Client(), 1))(t)
	}
	time.Sleep(10 * time.Millisecond)
	begin := time.Now()
	c.StartWorker(sdk.WorkerConfig{Name: "free"}, square)
	job := must(square.Submit(t.Context(), c.Client(), 7))(t)
	if got := result(t, job); got != 49 {
		t.Errorf("got %d", got)
	}
	if d := time.Since(begin); d > 100*time.Millisecond {
		t.Errorf("it waited for %v behind tasks that its worker does not offer", d)
	}
}

// Pain 19: elsewhere PENDING may mean that nobody knows the id, and waiting for it never ends.
func unknownIsAnError(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	begin := time.Now()
	unknown := square.Attach(c.Client(), sdk.NewJobID())
	_, status := unknown.Status(t.Context())
	_, await := unknown.Await(t.Context())
	for name, err := range map[string]error{"status": status, "await": await, "cancel": unknown.Cancel(t.Context(), "")} {
		if !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("%s of an unknown id: %v", name, err)
		}
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("the answers took %v", d)
	}
	job := must(square.Submit(t.Context(), c.Client(), 7))(t)
	if s := must(job.Status(t.Context()))(t); s.State != string(sdk.Running) {
		t.Errorf("a job that was just submitted is %s", s.State)
	}
	c.StartWorker(sdk.WorkerConfig{}, square)
	for s, err := range job.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if s.State == string(sdk.Success) {
			c.KillLeader() // whoever has seen SUCCESS reads the result, from whatever leader
		}
	}
	if got := result(t, job); got != 49 {
		t.Errorf("got %d", got)
	}
}

// Pain 27: elsewhere priorities lie in several structures, and who comes back goes to the end.
func priorityIsHonoured(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	var log journal
	task := sdk.NewTask("prioritized", func(ctx context.Context, what string) (string, error) {
		log.note(ctx, what)
		if strings.HasPrefix(what, "shaky") && sdk.Info(ctx).Attempt == 1 {
			return "", sdk.RetryAfter(errPain, 2500*time.Millisecond)
		}
		return what, sleep(ctx, time.Second)
	})
	submit := func(what string, priority int) {
		must(task.With(sdk.Priority(priority)).Submit(t.Context(), c.Client(), what))(t)
	}
	for _, p := range []int{9, 5, 7, 0, 3} {
		submit(fmt.Sprintf("p%d", p), p)
	}
	submit("shaky2", 2)
	c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, task)
	time.Sleep(30 * time.Second)
	// shaky2 fails when p0 has ended, at 1 s, and is due again at 3.5 s, while p7 runs.
	if got, want := fmt.Sprint(log.order()), "[p0 shaky2 p3 p5 p7 shaky2 p9]"; got != want {
		t.Errorf("started in the order %v, want %v", got, want)
	}
}

// Pain 17, with limits: elsewhere a limited task takes a slot while it waits, and loses its place.
func limitedKindHoldsUpNobody(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	var log journal
	limited := sdk.NewTask("limited", func(ctx context.Context, what string) (int, error) {
		log.note(ctx, what)
		return 0, nil
	}, sdk.Priority(0))
	err := c.Client().SetLimit(t.Context(), sdk.Limit{Scope: sdk.LimitTask, Name: "limited", Kind: sdk.LimitWindow, N: 2, Period: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var jobs []*sdk.Job[int]
	for _, what := range []string{"a", "b", "c", "d", "e"} {
		jobs = append(jobs, must(limited.Submit(t.Context(), c.Client(), what))(t))
		time.Sleep(time.Millisecond)
	}
	c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, limited, square)
	begin := time.Now()
	for n := range 20 { // through the one slot, while three limited ones wait
		job := must(square.Submit(t.Context(), c.Client(), n))(t)
		result(t, job)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("the others waited for %v behind a limit", d)
	}
	for _, job := range jobs {
		result(t, job)
	}
	if got := fmt.Sprint(log.order()); got != "[a b c d e]" {
		t.Errorf("started in the order %v", got)
	}
	for i, s := range log.starts[2:] {
		if d := s.at.Sub(log.starts[i].at); d < 10*time.Second {
			t.Errorf("%s and two before it began within %v", s.what, d)
		}
	}
}

// Pain 13, with budgets: elsewhere the store takes in whatever comes, until it falls over.
func overBudgetIsRefused(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	if err := c.Client().SetQueue(t.Context(), "default", sdk.QueueSettings{Budget: &sdk.Budget{Jobs: 10}}); err != nil {
		t.Fatal(err)
	}
	jobs := must(sdk.SubmitBatch(t.Context(), c.Client(), square, make([]int, 10)))(t)
	_, err := square.Submit(t.Context(), c.Client(), 7)
	var refused *sdk.APIError
	if !errors.Is(err, sdk.ErrOverBudget) || !errors.As(err, &refused) || refused.RetryAfter <= 0 {
		t.Fatalf("over the budget: %v; want a refusal that says when to come again", err)
	}
	c.StartWorker(sdk.WorkerConfig{}, square)
	for _, job := range jobs {
		result(t, job)
	}
	result(t, must(square.Submit(t.Context(), c.Client(), 7))(t))
	if n := counters(t, c).JobsSubmitted; n != 11 {
		t.Errorf("%d jobs are stored, of 11 that were acknowledged", n)
	}
}
