package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/sdk"
)

const (
	// startPatience bounds the start of the cluster, and every wait for a leader.
	startPatience = 60 * time.Second
	// stopPatience is what a process has to stop by itself.
	stopPatience = 20 * time.Second
	// leastMap is how long the two maps should take together: long enough to see them, and to
	// kill something in the middle. On a small corpus the workers pause after each split for it.
	leastMap = 3 * time.Second
	// expectedRate is how fast a small machine gets through both maps.
	expectedRate = 15 << 20 // bytes per second
	longestPause = 500 * time.Millisecond
	// keptEntries makes the nodes keep their whole log, so that it can be replayed.
	keptEntries = 1 << 40
)

// worker is one worker process's place.
type worker struct {
	name    string
	process *child.Process
}

// start starts nodes and workers.
func (r *run) start(ctx context.Context) error {
	cluster, err := procs.NewCluster(r.Dir, r.Nodes, "")
	if err != nil {
		return err
	}
	cluster.Args = []string{"--trailing-logs", strconv.Itoa(keptEntries)}
	r.cluster = cluster
	started := time.Now()
	ready, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := cluster.StartAll(ready); err != nil {
		return err
	}
	leader := cluster.Leader(ctx)
	if leader == nil {
		return errors.New("the cluster lost its leader while it started: run the command again")
	}
	r.note("Cluster: %d node process(es), leader %s elected after %d ms; data and logs in %s",
		len(cluster.Nodes), leader.ID, time.Since(started).Milliseconds(), r.Dir)
	for _, node := range cluster.Nodes {
		r.note("  %s  pid %-7d api %s  raft %s", node.ID, node.Process.PID(), node.API, node.Raft)
	}
	if r.client, err = sdk.NewClient(sdk.ClientConfig{Addresses: cluster.Addresses()}); err != nil {
		return err
	}
	r.watch = watch(ctx, cluster)
	for n := range r.Workers {
		w := &worker{name: "w" + strconv.Itoa(n+1)}
		r.workers = append(r.workers, w)
		if err := r.startWorker(w); err != nil {
			return err
		}
	}
	r.note("Workers: %d process(es) with %d slots each%s", len(r.workers), slotsPerWorker, r.pauseNote())
	return nil
}

func (r *run) startWorker(w *worker) error {
	process, err := child.Start("worker "+w.name, filepath.Join(r.Dir, w.name+".log"),
		"dev", "worker", "--name", w.name, "--address", strings.Join(r.cluster.Addresses(), ","),
		"--slots", strconv.Itoa(slotsPerWorker), "--lease-ttl", r.LeaseTTL.String(), "--pause", r.pause().String())
	if err != nil {
		return err
	}
	w.process = process
	return nil
}

// pause is how long a worker waits after each split so that the maps take leastMap.
func (r *run) pause() time.Duration {
	expected := time.Duration(float64(r.corpus.Bytes) / expectedRate * float64(time.Second))
	if expected >= leastMap {
		return 0
	}
	tasks := 2 * len(r.corpus.Cut(0))
	pause := (leastMap - expected) * time.Duration(r.Workers*slotsPerWorker) / time.Duration(tasks)
	return min(pause, longestPause).Truncate(time.Millisecond)
}

func (r *run) pauseNote() string {
	if pause := r.pause(); pause > 0 {
		return fmt.Sprintf(" (small corpus: they pause %d ms per split, so that there is something to see)", pause.Milliseconds())
	}
	return ""
}

// stopWorkers lets the workers hand back what they hold.
func (r *run) stopWorkers() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	processes := make([]*child.Process, len(r.workers))
	for i, w := range r.workers {
		processes[i] = w.process
	}
	r.workers = nil
	return child.StopAll(ctx, processes)
}

// stop stops all processes, whatever state they are in.
func (r *run) stop() error {
	if r.cluster == nil {
		return nil
	}
	if r.watch != nil {
		r.watch.stop()
	}
	if r.client != nil {
		_ = r.client.Close()
	}
	workers := r.stopWorkers()
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	return errors.Join(workers, r.cluster.StopAll(ctx))
}

// crashed returns an error when a process has ended that nobody killed.
func (r *run) crashed() error {
	all := []error{r.cluster.Crashed()}
	for _, w := range r.workers {
		all = append(all, w.process.Crashed())
	}
	return errors.Join(all...)
}
