package sdktest

import (
	"context"

	"github.com/fanfold/fanfold/sdk"
)

// Worker is a worker in this process.
type Worker struct {
	Host    string // its name on the network, for Cut
	cluster *Cluster
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // of Run, once done is closed
}

// StartWorker runs a worker with the tasks until Stop or the cluster's end. The zero configuration does.
func (c *Cluster) StartWorker(cfg sdk.WorkerConfig, units ...sdk.Registrable) *Worker {
	return c.startWorker(c.newHost("worker"), cfg, units)
}

func (c *Cluster) startWorker(host string, cfg sdk.WorkerConfig, units []sdk.Registrable) *Worker {
	if cfg.Name == "" {
		cfg.Name = host
	}
	if cfg.Logger == nil {
		cfg.Logger = c.log
	}
	w := &Worker{Host: host, cluster: c, done: make(chan struct{})}
	run := sdk.NewWorker(c.NewClient(host), cfg)
	run.Register(units...)
	ctx, cancel := context.WithCancel(c.life)
	w.cancel = cancel
	go func() {
		defer close(w.done)
		w.err = run.Run(ctx)
	}()
	c.atClose(func() { w.Stop() })
	return w
}

// Stop drains the worker and returns what its Run returned.
func (w *Worker) Stop() error {
	w.cancel()
	<-w.done
	return w.err
}

// Isolate cuts the worker off from all nodes: it runs on, and nobody hears of it. Its leases end.
func (w *Worker) Isolate() { w.cluster.isolate(w.Host) }

// Rejoin mends what Isolate has cut.
func (w *Worker) Rejoin() { w.cluster.rejoin(w.Host) }
