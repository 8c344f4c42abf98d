package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// worker is a worker of the SDK on a host of its own.
type worker struct {
	host   string
	client *sdk.Client
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *world) clientHost(i int) string { return fmt.Sprintf("client%d", i+1) }

func (w *world) client(kind string) *sdk.Client {
	w.mu.Lock()
	host := w.clientHost(len(w.clients))
	if kind != "client" {
		host = kind
	}
	w.mu.Unlock()
	var addresses []string
	for _, p := range w.peers {
		addresses = append(addresses, p.APIAddress)
	}
	c, err := sdk.NewClient(sdk.ClientConfig{Addresses: addresses, Dialer: w.net.Dialer(host), Logger: w.logger.With("host", host)})
	if err != nil {
		panic(err) // the addresses are our own
	}
	return c
}

// addWorker starts a worker.
func (w *world) addWorker() {
	w.mu.Lock()
	w.spawn++
	host := fmt.Sprintf("worker%d", w.spawn)
	w.mu.Unlock()
	one := &worker{host: host, client: w.client(host), done: make(chan struct{})}
	run := sdk.NewWorker(one.client, sdk.WorkerConfig{
		Name: host, Queues: map[string]int{"default": w.plan.Slots}, LeaseTTL: w.plan.LeaseTTL, DrainTimeout: 2 * time.Second,
		Logger: w.logger.With("host", host),
	})
	run.Register(w.tasks.units()...)
	ctx, cancel := context.WithCancel(context.Background())
	one.cancel = cancel
	w.mu.Lock()
	w.workers = append(w.workers, one)
	w.mu.Unlock()
	go func() {
		defer close(one.done)
		_ = run.Run(ctx)
		one.client.Close()
	}()
}

func (w *world) worker(i int) *worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.workers[len(w.workers)-1-i%len(w.workers)]
}

// cutWorker takes a worker's sight of the nodes.
func (w *world) cutWorker(i int) (mend func()) {
	one := w.worker(i)
	for _, p := range w.peers {
		w.net.Cut(one.host, p.ID)
	}
	return func() {
		for _, p := range w.peers {
			w.net.Mend(one.host, p.ID)
		}
	}
}

// killWorker ends a worker without a word, and starts another one.
func (w *world) killWorker(i int) {
	one := w.worker(i)
	w.cutWorker(i)
	w.net.Kill(one.host)
	one.cancel()
	w.addWorker()
}
