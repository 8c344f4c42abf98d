// Command order processes one order durably: the payment service may fail a few times, the worker or
// the leader may die, and the customer is charged once. Start `fanfold dev`, then run it:
//
//	go run ./docs/examples/order
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Order is what the customer sent, Receipt what they get.
type (
	Order   struct{ ID, Cents int }
	Receipt struct{ Text string }
)

// ProcessOrder is the task, with its retry policy: after 1 s, 2 s and 4 s, then no more.
var ProcessOrder = sdk.NewTask("orders.process", process,
	sdk.Retry(sdk.RetryPolicy{MaxAttempts: 4, First: time.Second, Factor: 2}))

// payments stands for a payment service that is down for the first two calls.
var payments = &gateway{failures: 2, charged: make(map[string]int)}

func process(ctx context.Context, order Order) (Receipt, error) {
	if order.Cents <= 0 {
		return Receipt{}, sdk.Permanent(fmt.Errorf("order %d costs nothing", order.ID)) // trying again will not help
	}
	// The key is the same in every attempt: a service that is asked twice knows that it is the same wish.
	if err := payments.charge(sdk.Key(ctx), order.Cents); err != nil {
		return Receipt{}, err
	}
	return Receipt{Text: fmt.Sprintf("order %d: %d.%02d paid", order.ID, order.Cents/100, order.Cents%100)}, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nodes := strings.FieldsFunc(os.Getenv("FANFOLD_ADDR"), func(r rune) bool { return r == ',' })
	client, err := sdk.NewClient(sdk.ClientConfig{Addresses: nodes}) // none: 127.0.0.1:7400
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"default": 4}})
	worker.Register(ProcessOrder)
	go func() {
		if err := worker.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			log.Println("worker:", err)
		}
	}()

	job, err := ProcessOrder.Submit(ctx, client, Order{ID: 123, Cents: 4599})
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := job.Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Text)
}
