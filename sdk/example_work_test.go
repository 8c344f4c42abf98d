package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// A long copy goes on where an earlier attempt has left off.
func ExampleSave() {
	backup := sdk.NewTask("backup", func(ctx context.Context, files int) (string, error) {
		done := 0
		if _, err := sdk.Saved(ctx, &done); err != nil {
			return "", err
		}
		from := done
		for ; done < files; done++ {
			if done == 60 && from == 0 {
				return "", errors.New("the network is gone")
			}
			if done%20 == 0 { // not each: a save is a round trip
				if err := sdk.Save(ctx, done); err != nil {
					return "", err
				}
			}
		}
		return fmt.Sprintf("%d files, the last attempt began at %d", done, from), nil
	}, sdk.Retry(sdk.RetryPolicy{First: time.Millisecond}))
	fmt.Println(run(backup, 100))
	// Output: 100 files, the last attempt began at 40 <nil>
}

// The card is charged once, however often the letter fails.
func ExampleOnce() {
	charges, letters := 0, 0
	ship := sdk.NewTask("ship", func(ctx context.Context, order int) (string, error) {
		receipt, err := sdk.Once(ctx, "charge", func(context.Context) (string, error) {
			charges++
			return fmt.Sprintf("receipt %d", charges), nil
		})
		if err != nil {
			return "", err
		}
		if letters++; letters < 3 {
			return "", errors.New("the printer is out of paper")
		}
		return receipt, nil
	}, sdk.Retry(sdk.RetryPolicy{First: time.Millisecond}))
	fmt.Println(run(ship, 7))
	// Output: receipt 1 <nil>
}

// What a task logs is kept with its job.
func ExampleClient_Logs() {
	ctx, client := context.Background(), dialed()
	task := sdk.NewTask("import", func(ctx context.Context, rows int) (int, error) {
		log := sdk.Log(ctx)
		log.Info("begin", "rows", rows)
		log.Warn("row without a name", "row", 17)
		return rows, nil
	})
	defer work(task)()
	job, err := task.Submit(ctx, client, 100)
	if err != nil {
		panic(err)
	}
	for e, err := range client.Logs(ctx, job.ID(), sdk.LogFilter{Follow: true}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Step, e.Attempt, e.Line.Text)
	}
	// Output:
	// import 1 begin rows=100
	// import 1 row without a name row=17
}

// Nobody runs the task: Explain says so.
func ExampleClient_Explain() {
	ctx, client := context.Background(), dialed()
	task := sdk.NewTask("nobody", func(_ context.Context, n int) (int, error) { return n, nil })
	job, err := task.Submit(ctx, client, 1)
	if err != nil {
		panic(err)
	}
	e, err := client.Explain(ctx, job.ID())
	if err != nil {
		panic(err)
	}
	for _, r := range e.Reasons {
		fmt.Printf("%s: %s\n", r.Code, r.Text)
	}
	// Output: NO_WORKER: no live worker offers task nobody in queue default
}

// A codec that encrypts. Give it to every client, those of workers too.
func ExampleNewAESGCM() {
	codec, err := sdk.NewAESGCM("2026-11", map[string][]byte{
		"2026-11": []byte("a key of 32 bytes, kept elsewher"),
		"2026-05": []byte("the key before it, still to read"),
	})
	if err != nil {
		panic(err)
	}
	client, err := sdk.NewClient(sdk.ClientConfig{Codec: codec})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	sealed, err := codec.Encode([]byte(`{"card":"4111"}`), nil)
	if err != nil {
		panic(err)
	}
	plain, err := codec.Decode(sealed)
	fmt.Println(sealed.Codec, sealed.Key, string(plain), err)
	// Output: aes-gcm 2026-11 {"card":"4111"} <nil>
}

// An interceptor around every attempt of a worker, and a header from the submitter to it.
func ExampleInterceptor() {
	ctx, client := context.Background(), dialed()
	task := sdk.NewTask("greet", func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil })
	traced := func(ctx context.Context, input []byte, next sdk.Handler) ([]byte, error) {
		result, err := next(ctx, input)
		fmt.Printf("%s %s -> %s (trace %s)\n", sdk.Info(ctx).Task, input, result, sdk.Headers(ctx)["trace"])
		return result, err
	}
	worker := node().StartWorker(sdk.WorkerConfig{Interceptors: []sdk.Interceptor{traced}}, task)
	defer worker.Stop()
	job, err := task.Submit(ctx, client, "World", sdk.Header("trace", "4bf92f35"))
	if err != nil {
		panic(err)
	}
	fmt.Println(job.Await(ctx))
	// Output:
	// greet "World" -> "Hello, World" (trace 4bf92f35)
	// Hello, World <nil>
}
