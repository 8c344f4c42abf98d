package main

import (
	"context"
	"errors"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// bulk is how many jobs a bulk submission has.
const bulk = 1000

func (p *peer) submitNoop(ctx context.Context, id int) (*sdk.Job[OK], error) {
	return noop.Submit(ctx, p.client, payload(Task{ID: id, Kind: "noop"}))
}

func (p *peer) submitBulk(ctx context.Context, first int) error {
	items := make([]Task, bulk)
	for i := range items {
		items[i] = payload(Task{ID: first + i, Kind: "noop"})
	}
	_, err := sdk.SubmitBatch(ctx, p.client, noop, items)
	return err
}

// enqueue is W1: single submits of 64 clients, then bulks, while nobody works.
func enqueue(ctx context.Context, p *peer) (line, error) {
	one := func(i int) error {
		_, err := p.submitNoop(ctx, i)
		return err
	}
	spread(concurrency, 500, time.Second, one)
	ok, failed, took := spread(concurrency, 1<<30, 10*time.Second, one)
	started, n := time.Now(), 0
	for ; time.Since(started) < 6*time.Second; n += bulk {
		if err := p.submitBulk(ctx, n); err != nil {
			return nil, err
		}
	}
	return line{
		"ops": ok, "enqueue_per_s": rounded(float64(ok) / took.Seconds()), "errors": failed,
		"bulk_per_s": rounded(float64(n) / time.Since(started).Seconds()), "bulk": "SubmitBatch of 1000", "bulk_ops": n,
	}, nil
}

// drain is W2: 20,000 tasks wait, then a worker comes, until all results are stored.
func drain(ctx context.Context, p *peer) (line, error) {
	const n = 20_000
	for i := 0; i < n; i += bulk {
		if err := p.submitBulk(ctx, i); err != nil {
			return nil, err
		}
	}
	started := time.Now()
	stop := p.work(ctx)
	poll(80*time.Second, func() bool { return p.seen.count() >= n })
	done := 0
	poll(5*time.Second, func() bool {
		done, _ = p.succeeded(ctx)
		return done >= n
	})
	took := time.Since(started).Seconds()
	return line{"n": n, "completed": done, "drain_s": rounded(took), "drain_per_s": rounded(float64(done) / took)}, stop()
}

// latency is W3: one task at a time until the client has its result; then 200 tasks a second.
func latency(ctx context.Context, p *peer) (line, error) {
	stop := p.work(ctx)
	time.Sleep(time.Second)
	var observed []float64
	end := time.Now().Add(25 * time.Second)
	for i := 0; i < 500 && time.Now().Before(end); i++ {
		started := time.Now()
		job, err := p.submitNoop(ctx, i)
		if err != nil {
			return nil, err
		}
		if _, err := job.Await(ctx); err != nil {
			return nil, err
		}
		observed = append(observed, since(started))
	}
	handler := p.seen.takeLatency()
	n := paced(200, 12*time.Second, func(i int) { _, _ = p.submitNoop(ctx, 1_000_000+i) })
	poll(5*time.Second, func() bool { return p.seen.count() >= n })
	open := p.seen.takeLatency()
	return line{
		"closed_n": len(observed), "closed_p50_ms": quantile(observed, .5), "closed_p99_ms": quantile(observed, .99),
		"handler_p50_ms": quantile(handler, .5), "handler_p99_ms": quantile(handler, .99),
		"open200_n": len(open), "open200_p50_ms": quantile(open, .5), "open200_p99_ms": quantile(open, .99), "observe": "Await (stream)",
	}, stop()
}

// runChains runs n chains until their last steps have run; then until their results are stored.
func (p *peer) runChains(ctx context.Context, n int, limit time.Duration) (done int, took, stored time.Duration, err error) {
	p.seen.expect(n)
	jobs := make([]*sdk.Job[Task], n)
	started := time.Now()
	_, failed, _ := spread(concurrency, n, limit, func(i int) (err error) {
		jobs[i], err = chain.Submit(ctx, p.client, payload(Task{Kind: "step", Group: i}))
		return err
	})
	if failed > 0 {
		return 0, 0, 0, errors.New("chains could not be submitted")
	}
	timeout := time.After(limit)
	for done < n {
		select {
		case <-p.seen.ended:
			done++
		case <-timeout:
			return done, time.Since(started), 0, nil
		}
	}
	took = time.Since(started)
	for _, job := range jobs {
		if _, err := job.Await(ctx); err != nil {
			return done, took, 0, err
		}
	}
	return done, took, time.Since(started), nil
}

// chains is W4: 200 chains of ten steps at once; then one alone, 20 times.
func chains(ctx context.Context, p *peer) (line, error) {
	stop := p.work(ctx)
	time.Sleep(500 * time.Millisecond)
	if _, _, _, err := p.runChains(ctx, 20, 20*time.Second); err != nil {
		return nil, err
	}
	n, took, stored, err := p.runChains(ctx, 200, 45*time.Second)
	if err != nil {
		return nil, err
	}
	gaps := p.seen.gaps()
	var alone []float64
	for end := time.Now().Add(30 * time.Second); len(alone) < 20 && time.Now().Before(end); {
		_, one, _, err := p.runChains(ctx, 1, 30*time.Second)
		if err != nil {
			return nil, err
		}
		alone = append(alone, one.Seconds()*1000/steps)
	}
	return line{
		"chains": n, "total_s": rounded(took.Seconds()), "stored_s": rounded(stored.Seconds()),
		"steps_per_s": rounded(float64(n*steps) / took.Seconds()),
		"step_p50_ms": quantile(gaps, .5), "step_p99_ms": quantile(gaps, .99),
		"single_ms_per_step": quantile(alone, .5), "single_n": len(alone), "how": "one workflow of 10 steps",
	}, stop()
}

// round maps n items and reduces them, until the client has the sum.
func (p *peer) round(ctx context.Context, group, n int, limit time.Duration) (float64, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	started := time.Now()
	items := make([]Task, n)
	for i := range items {
		items[i] = payload(Task{Kind: "map", Group: group, Step: i})
	}
	job, err := mapped.Submit(ctx, p.client, items)
	if err != nil {
		return 0, false, err
	}
	sum, err := job.Await(ctx)
	return time.Since(started).Seconds(), sum == n, err
}

// mapReduce is W5: 1,000 mappers and a reduce, five times; then 10,000.
func mapReduce(ctx context.Context, p *peer) (line, error) {
	stop := p.work(ctx)
	time.Sleep(500 * time.Millisecond)
	var rounds []float64
	for group := range 5 {
		took, ok, err := p.round(ctx, group, 1000, 20*time.Second)
		if err != nil {
			return nil, err
		}
		if ok {
			rounds = append(rounds, took)
		}
	}
	large, ok, err := p.round(ctx, 10, 10_000, time.Minute)
	if err != nil {
		return nil, err
	}
	return line{
		"rounds": len(rounds), "round1000_s_p50": quantile(rounds, .5), "round1000_s_best": quantile(rounds, 0),
		"round10000_s": rounded(large), "round10000_ok": ok, "how": "Each over the input, Fold",
	}, stop()
}
