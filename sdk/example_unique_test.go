package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// submitted submits a job that must be taken.
func submitted(in int, opts ...sdk.SubmitOption) *sdk.Job[int] {
	job, err := double.Submit(context.Background(), dialed(), in, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return job
}

// While a job of the key lives, a second submission is that job, or is refused.
func ExampleUnique() {
	first := submitted(1, sdk.Unique(sdk.UniqueConfig{Key: "invoice-7"}))
	second := submitted(2, sdk.Unique(sdk.UniqueConfig{Key: "invoice-7"}))
	fmt.Println(second.ID() == first.ID(), second.Existing())
	_, err := double.Submit(context.Background(), dialed(), 3, sdk.Unique(sdk.UniqueConfig{Key: "invoice-7", OnConflict: sdk.Reject}))
	fmt.Println(errors.Is(err, sdk.ErrExists))
	defer work(double)()
	fmt.Println(first.Await(context.Background()))
	third := submitted(3, sdk.Unique(sdk.UniqueConfig{Key: "invoice-7"})) // the key is free
	fmt.Println(third.Existing())
	// Output:
	// true true
	// true
	// 2 <nil>
	// false
}

// At most one job a minute, also when the first has ended.
func ExampleThrottle() {
	defer work(double)()
	first := submitted(1, sdk.Throttle("digest-42", time.Minute))
	fmt.Println(first.Await(context.Background()))
	fmt.Println(submitted(2, sdk.Throttle("digest-42", time.Minute)).ID() == first.ID())
	// Output:
	// 2 <nil>
	// true
}

// Three changes within a moment are one job, with the last input.
func ExampleDebounce() {
	defer work(double)()
	var job *sdk.Job[int]
	for change := range 3 {
		job = submitted(change, sdk.Debounce("search-index", 300*time.Millisecond, 10*time.Second))
	}
	fmt.Println(job.Await(context.Background()))
	// Output: 4 <nil>
}

// One job of the key runs, and one waits: the latest. Those between are canceled.
func ExampleKeepLatest() {
	ctx := context.Background()
	begun, gate := make(chan int, 3), make(chan struct{})
	build := sdk.NewTask("example.build", func(_ context.Context, commit int) (int, error) {
		begun <- commit
		<-gate
		return commit, nil
	})
	defer work(build)()
	var jobs []*sdk.Job[int]
	for commit := range 3 {
		job, err := build.Submit(ctx, dialed(), commit, sdk.KeepLatest("main"))
		if err != nil {
			log.Fatal(err)
		}
		if jobs = append(jobs, job); commit == 0 {
			<-begun
		}
	}
	close(gate)
	for _, job := range jobs {
		commit, err := job.Await(ctx)
		fmt.Println(commit, errors.Is(err, sdk.ErrJobCanceled))
	}
	// Output:
	// 0 false
	// 0 true
	// 2 false
}

// A batch calls a task when its last job has succeeded.
func ExampleClient_NewBatch() {
	ctx := context.Background()
	told := make(chan sdk.BatchOutcome[string], 1)
	notify := sdk.NewTask("example.notify", func(_ context.Context, o sdk.BatchOutcome[string]) (bool, error) {
		told <- o
		return true, nil
	})
	defer work(double, notify)()
	batch, err := dialed().NewBatch(ctx, sdk.BatchConfig{Name: "import", OnSuccess: sdk.Callback(notify, "tell the team")})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := sdk.SubmitBatch(ctx, dialed(), double, []int{1, 2, 3}, sdk.InBatch(batch)); err != nil {
		log.Fatal(err)
	}
	if err := batch.Close(ctx); err != nil {
		log.Fatal(err)
	}
	o := <-told
	fmt.Println(o.Event, o.Succeeded, o.Data)
	// Output: success 3 tell the team
}

// Fairness is by partition, and a limit may be for each: here a customer's id.
func ExamplePartition() {
	defer work(double)()
	fmt.Println(submitted(4, sdk.Partition("customer-7")).Await(context.Background()))
	// Output: 8 <nil>
}

func ExampleRunIn() {
	defer work(double)()
	begin := time.Now()
	result, err := submitted(21, sdk.RunIn(200*time.Millisecond)).Await(context.Background())
	fmt.Println(result, err, time.Since(begin) >= 200*time.Millisecond)
	// Output: 42 <nil> true
}

// A workflow runs by the clock as a task does.
func ExampleWorkflow_Schedule() {
	ctx, client := context.Background(), dialed()
	twice := sdk.NewWorkflow("example.twice", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Then(n, double), double) })
	defer work(twice)()
	if err := twice.Schedule(ctx, client, 3, sdk.Schedule{Name: "nightly", Cron: "0 3 * * *", Zone: "Europe/Berlin"}); err != nil {
		log.Fatal(err)
	}
	id, err := client.TriggerSchedule(ctx, "nightly", time.Now())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(twice.Attach(client, id).Await(ctx))
	// Output: 12 <nil>
}
