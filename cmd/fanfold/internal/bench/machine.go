package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

const (
	startPatience = time.Minute
	stopPatience  = 20 * time.Second
	// lookEvery is how exactly the end of a drain is seen.
	lookEvery = 2 * time.Millisecond
)

// machine is a cluster with a client, and with a worker while one is wanted.
type machine struct {
	Config
	cluster *procs.Cluster
	leader  *procs.Node
	client  *sdk.Client
	pace    *pace

	cpuBefore float64
	drain     context.CancelFunc
	drained   chan error
}

func newMachine(ctx context.Context, config Config, dir string) (*machine, error) {
	cluster, err := procs.NewCluster(dir, config.Nodes, "")
	if err != nil {
		return nil, err
	}
	cluster.Args = append([]string{"--log", "warn"}, config.NodeArgs...)
	m := &machine{Config: config, cluster: cluster, pace: newPace()}
	ready, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := cluster.StartAll(ready); err != nil {
		return nil, errors.Join(err, m.stop())
	}
	if m.leader, err = cluster.AwaitLeader(ready); err != nil {
		return nil, errors.Join(err, m.stop())
	}
	if m.client, err = sdk.NewClient(sdk.ClientConfig{Addresses: cluster.Addresses()}); err != nil {
		return nil, errors.Join(err, m.stop())
	}
	m.cpuBefore = m.cpu()
	return m, nil
}

// work starts the worker.
func (m *machine) work(ctx context.Context) {
	ctx, m.drain = context.WithCancel(ctx)
	m.drained = make(chan error, 1)
	worker := sdk.NewWorker(m.client, sdk.WorkerConfig{Queues: map[string]int{"default": m.Clients}, DrainTimeout: 5 * time.Second})
	worker.Register(m.pace.tasks()...)
	go func() { m.drained <- worker.Run(ctx) }()
}

// idle stops the worker.
func (m *machine) idle() error {
	if m.drain == nil {
		return nil
	}
	m.drain()
	m.drain = nil
	return <-m.drained
}

func (m *machine) stop() error {
	err := m.idle()
	if m.client != nil {
		_ = m.client.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	return errors.Join(err, m.cluster.StopAll(ctx))
}

// counters are those of the leader.
func (m *machine) counters(ctx context.Context) (*apiv1.Counters, error) {
	answer, err := m.cluster.Remote().At(m.leader.API).ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetCounters(), nil
}

// awaitSucceeded waits until the cluster has ended so many jobs in all.
func (m *machine) awaitSucceeded(ctx context.Context, jobs uint64) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	last, moved := uint64(0), time.Now()
	for {
		counters, err := m.counters(ctx)
		if err != nil {
			return err
		}
		if counters.GetJobsFailed() > 0 {
			return fmt.Errorf("%d jobs failed: see `fanfold job list --state FAILURE`", counters.GetJobsFailed())
		}
		switch done := counters.GetJobsSucceeded(); {
		case done >= jobs:
			return nil
		case done != last:
			last, moved = done, time.Now()
		case time.Since(moved) > startPatience:
			return fmt.Errorf("nothing has moved for %s: %d of %d jobs are done", startPatience, done, jobs)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-m.drained:
			m.drain, m.drained = nil, nil
			return fmt.Errorf("the worker ended: %w", err)
		case <-ticker.C:
		}
	}
}

// cpu is the processor time of all nodes.
func (m *machine) cpu() float64 {
	sum := 0.0
	for _, node := range m.cluster.Nodes {
		sum += cpuOf(node.Process.PID())
	}
	return sum
}

func (m *machine) serverCPU() float64 { return m.cpu() - m.cpuBefore }

func (m *machine) maxRSS() int64 {
	most := int64(-1)
	for _, node := range m.cluster.Nodes {
		most = max(most, rssOf(node.Process.PID(), "VmHWM"))
	}
	return most
}
