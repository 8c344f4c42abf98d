package bench

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

const (
	manyChains  = 200
	aloneRounds = 20
)

// chain measures workflows of ten steps in a row, many at once and one alone.
func chain(ctx context.Context, m *machine) ([]Value, error) {
	m.work(ctx)
	inputs := make([]Item, manyChains)
	for i := range inputs {
		inputs[i] = padded(Item{ID: i, Chain: i}, m.Payload)
	}
	started := time.Now()
	if _, err := sdk.SubmitBatch(ctx, m.client, tenSteps, inputs); err != nil {
		return nil, err
	}
	if err := m.awaitSucceeded(ctx, manyChains); err != nil {
		return nil, err
	}
	many := time.Since(started)
	between := m.pace.takeSteps()

	var whole []time.Duration
	for i := range aloneRounds {
		started := time.Now()
		job, err := tenSteps.Submit(ctx, m.client, padded(Item{Chain: manyChains + i}, m.Payload))
		if err != nil {
			return nil, err
		}
		if _, err := job.Await(ctx); err != nil {
			return nil, err
		}
		whole = append(whole, time.Since(started))
	}
	alone := m.pace.takeSteps()
	return []Value{
		{"200 chains of 10", many.Seconds(), "s"},
		{"200 chains of 10, step to step p50", quantile(between, 0.5), "ms"},
		{"one chain alone, step to step p50", quantile(alone, 0.5), "ms"},
		{"one chain alone, step to step p99", quantile(alone, 0.99), "ms"},
		{"one chain alone, submit to result per step", quantile(whole, 0.5) / chainSteps, "ms"},
	}, nil
}
