// Package sdk is Fanfold for Go programs: tasks, workflows, the client that submits them and the worker
// that runs them.
//
// A task is a named Go function. A workflow is a typed graph of tasks, built once and stored with every job
// as data: no replay, no rules of determinism, and a wrong connection does not compile. The cluster
// keeps every job and its results on a majority of its nodes; a job that Submit has acknowledged reaches
// an end, whichever machines die.
//
//	var (
//		Plan  = sdk.NewTask("wc.plan", plan)   // func(context.Context, string) ([]Split, error)
//		Count = sdk.NewTask("wc.count", count, // func(context.Context, Split) (Counts, error)
//			sdk.Timeout(time.Minute), sdk.Retry(sdk.RetryPolicy{MaxAttempts: 5}))
//		Merge = sdk.NewTask("wc.merge", merge) // func(context.Context, []Counts) (Counts, error)
//	)
//
//	var WordCount = sdk.NewWorkflow("wordcount", func(dir sdk.Ref[string]) sdk.Ref[Counts] {
//		splits := sdk.Then(dir, Plan)
//		counts := sdk.Each(splits, Count, sdk.MaxParallel(64))
//		return sdk.Fold(counts, Merge, sdk.FanIn(16))
//	})
//
//	func main() {
//		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
//		defer stop()
//		client, err := sdk.NewClient(sdk.ClientConfig{Addresses: []string{"127.0.0.1:7400"}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"default": 16}})
//		worker.Register(WordCount)
//		go worker.Run(ctx)
//		job, err := WordCount.Submit(ctx, client, "/books")
//		if err != nil {
//			log.Fatal(err)
//		}
//		counts, err := job.Await(ctx)
//		fmt.Println(counts, err)
//	}
//
// # What is guaranteed
//
// A task's function runs at least once, and exactly one of its results is accepted. Between an effect on
// the outside world and its report a worker can die, and then the function runs again: give Key to the
// outside as the idempotency key, or Fence where old writers can be refused. A worker that was paused
// for longer than its lease finds its context cancelled with ErrLeaseLost, and its result refused.
//
// Values are JSON, up to 64 MiB each. Over 256 KiB they are uploaded and read in pieces by themselves.
//
// # Where things are
//
// Verbs that build: Then, Each, EachSettled, Fold, FoldTo, Join and Into, Zip, Chunk, Flatten, Const.
// Inside a task: Info, Key, Fence, Progress, Log. Errors of tasks: Permanent, RetryAfter, Snooze. Errors of
// calls: ErrNotFound and its neighbours, for errors.Is. Tests without a cluster: package sdktest.
//
// The package does not read the environment, opens nothing on import, and imports no part of the server.
package sdk
