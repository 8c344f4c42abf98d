package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

func ExampleNewClient() {
	client, err := sdk.NewClient(sdk.ClientConfig{Addresses: []string{"10.0.0.1:7400", "10.0.0.2:7400", "10.0.0.3:7400"}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = sdk.NewClient(sdk.ClientConfig{Addresses: []string{"no-port"}})
	fmt.Println(err)
	// Output: sdk: client configuration: address "no-port" is not host:port or http://host:port
}

// A program that notes the id before it submits can submit again after its own crash.
func ExampleJobID() {
	ctx, client, id := context.Background(), dialed(), sdk.NewJobID()
	for range 2 {
		job, err := double.Submit(ctx, client, 21, sdk.JobID(id))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.ID() == id, job.Existing())
	}
	_, err := double.Submit(ctx, client, 22, sdk.JobID(id))
	fmt.Println(errors.Is(err, sdk.ErrConflict))
	// Output:
	// true false
	// true true
	// true
}

func ExampleSubmitBatch() {
	ctx := context.Background()
	defer work(double)()
	jobs, err := sdk.SubmitBatch(ctx, dialed(), double, []int{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	for _, job := range jobs {
		fmt.Println(job.Await(ctx))
	}
	// Output:
	// 2 <nil>
	// 4 <nil>
	// 6 <nil>
}

func ExampleStartAt() {
	ctx := context.Background()
	defer work(double)()
	start := time.Now().Add(50 * time.Millisecond)
	job, err := double.Submit(ctx, dialed(), 4, sdk.StartAt(start), sdk.Retain(time.Hour), sdk.JobKey("nightly"))
	if err != nil {
		log.Fatal(err)
	}
	n, err := job.Await(ctx)
	fmt.Println(n, err, !time.Now().Before(start))
	// Output: 8 <nil> true
}

// Another program waits for a job that this one has submitted.
func ExampleTask_Attach() {
	ctx := context.Background()
	defer work(double)()
	job, err := double.Submit(ctx, dialed(), 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(double.Attach(dialed(), job.ID()).Await(ctx))
	_, err = double.Attach(dialed(), sdk.NewJobID()).Await(ctx)
	fmt.Println(errors.Is(err, sdk.ErrNotFound))
	// Output:
	// 6 <nil>
	// true
}

func ExampleJobError() {
	w := sdk.NewWorkflow("odds", func(ns sdk.Ref[[]int]) sdk.Ref[[]int] { return sdk.Each(ns, odd) })
	_, err := run(w, []int{1, 3, 4})
	var failed *sdk.JobError
	if errors.As(err, &failed) {
		fmt.Println(failed.State, failed.Step, failed.Shard, failed.Message)
	}
	// Output: FAILURE odd 2 4 is even
}

func ExampleClient_Watch() {
	ctx := context.Background()
	defer work(double)()
	job, err := double.Submit(ctx, dialed(), 3)
	if err != nil {
		log.Fatal(err)
	}
	last := ""
	for status, err := range job.Watch(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		last = status.State
	}
	fmt.Println(last)
	// Output: SUCCESS
}

func ExampleClient_Cancel() {
	ctx := context.Background()
	began, cause := make(chan bool), make(chan error)
	endless := sdk.NewTask("endless", func(ctx context.Context, _ int) (int, error) {
		close(began)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return 0, ctx.Err()
	})
	defer work(endless)()
	job, err := endless.Submit(ctx, dialed(), 0)
	if err != nil {
		log.Fatal(err)
	}
	<-began
	if err := job.Cancel(ctx, "no longer needed"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-cause)
	_, err = job.Await(ctx)
	fmt.Println(errors.Is(err, sdk.ErrJobCanceled))
	// Output:
	// job canceled: no longer needed
	// true
}

// After a repair, only what failed runs again.
func ExampleClient_Retry() {
	ctx := context.Background()
	var broken atomic.Bool
	var runs atomic.Int32
	broken.Store(true)
	fetch := sdk.NewTask("fetch", func(_ context.Context, n int) (int, error) { runs.Add(1); return n, nil })
	store := sdk.NewTask("store", func(_ context.Context, n int) (int, error) {
		if broken.Load() {
			return 0, sdk.Permanent(errors.New("the disk is full"))
		}
		return n, nil
	})
	w := sdk.NewWorkflow("copy", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Then(n, fetch), store) })
	defer work(w)()
	job, err := w.Submit(ctx, dialed(), 9)
	if err != nil {
		log.Fatal(err)
	}
	_, err = job.Await(ctx)
	fmt.Println(errors.Is(err, sdk.ErrJobFailed))
	broken.Store(false)
	if err := job.Retry(ctx); err != nil {
		log.Fatal(err)
	}
	n, err := job.Await(ctx)
	fmt.Println(n, err, "with", runs.Load(), "fetch")
	// Output:
	// true
	// 9 <nil> with 1 fetch
}

func ExampleClient_Status() {
	ctx := context.Background()
	w := sdk.NewWorkflow("status", func(ns sdk.Ref[[]int]) sdk.Ref[int] { return sdk.Fold(sdk.Each(ns, double), add) })
	defer work(w)()
	job, err := w.Submit(ctx, dialed(), []int{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Await(ctx); err != nil {
		log.Fatal(err)
	}
	status, err := job.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range status.Steps {
		fmt.Println(s.Name, s.Kind, s.State, s.Succeeded, "of", s.Total)
	}
	// Output:
	// double map SUCCESS 3 of 3
	// add fold SUCCESS 1 of 1
}

func ExampleClient_Purge() {
	ctx := context.Background()
	defer work(double)()
	job, err := double.Submit(ctx, dialed(), 3)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Await(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Purge(ctx))
	_, err = job.Status(ctx)
	fmt.Println(errors.Is(err, sdk.ErrNotFound))
	// Output:
	// <nil>
	// true
}

func ExampleClient_List() {
	ctx := context.Background()
	listed := sdk.NewTask("listed", func(_ context.Context, n int) (int, error) { return n, nil })
	for i := range 3 {
		if _, err := listed.Submit(ctx, dialed(), i); err != nil {
			log.Fatal(err)
		}
	}
	n := 0
	for job, err := range dialed().List(ctx, sdk.JobFilter{State: sdk.Running, Workflow: "listed"}) {
		if err != nil {
			log.Fatal(err)
		}
		n++
		if err := dialed().Cancel(ctx, job.Id, "tidy up"); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(n)
	// Output: 3
}

// Jobs as JSON, for tools that do not know the types.
func ExampleClient_SubmitRaw() {
	ctx, client := context.Background(), dialed()
	w := sdk.NewWorkflow("raw", func(ns sdk.Ref[[]int]) sdk.Ref[[]int] { return sdk.Each(ns, double) })
	defer work(w)()
	id, _, err := client.SubmitRaw(ctx, sdk.RawJob{Graph: w.Graph(), Input: []byte(`[1, 2]`)})
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.AwaitRaw(ctx, id)
	fmt.Println(string(result), err)
	var step bytes.Buffer
	err = client.ReadStepResult(ctx, id, "double", &step)
	fmt.Println(step.String(), err)
	// Output:
	// [2,4] <nil>
	// [2,4] <nil>
}

// Run blocks until its context ends, and then lets the running tasks finish.
func ExampleWorker_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	worker := sdk.NewWorker(dialed(), sdk.WorkerConfig{Queues: map[string]int{"default": 16}})
	worker.Register(double)
	done := make(chan error)
	go func() { done <- worker.Run(ctx) }()
	job, err := double.Submit(ctx, dialed(), 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Await(ctx))
	cancel()
	fmt.Println(<-done)
	// Output:
	// 4 <nil>
	// <nil>
}
