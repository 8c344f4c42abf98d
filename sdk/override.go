package sdk

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/fanfold/fanfold/dag"
)

// submitOption is the option for all steps of the job, in place of what the graph says. The job has a graph
// of its own then: the same graph with the same options is stored once.
func (o AnyOption) submitOption(s *submitSettings) { s.override = append(s.override, o) }

// overridden rewrites a graph by the options of a submission.
func overridden(graph []byte, opts []func(*settings)) ([]byte, error) {
	if len(opts) == 0 {
		return graph, nil
	}
	zero, full := settings{}, settings{options: everyOption}
	for _, o := range opts {
		o(&zero)
		o(&full)
	}
	if len(zero.errs) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(zero.errs...))
	}
	// What the options do is seen by what they make of no options and of all of them.
	effect, err := json.Marshal([]dag.Options{zero.options, full.options})
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(append(append(bytes.Clone(effect), 0), graph...))
	if out, ok := overrides.get(key); ok {
		return out, nil
	}
	g, err := dag.Decode(graph)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for i := range g.Steps {
		step := &g.Steps[i]
		s := settings{options: step.Options}
		for _, o := range opts {
			o(&s)
		}
		if step.Kind != dag.StepTask {
			s.options.QueueWaitMS, s.options.PartitionBy = step.Options.QueueWaitMS, step.Options.PartitionBy
		}
		step.Options = s.options
	}
	_, out, err := encodeGraph(g)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	overrides.put(key, out)
	return out, nil
}

// everyOption has no field at its zero value that an option for submissions sets.
var everyOption = dag.Options{
	Queue: "-", Priority: 1, PartitionBy: "/", TimeoutMS: 1, HardTimeoutMS: 1, HeartbeatMS: 1, QueueWaitMS: 1,
	Retry: dag.Retry{MaxAttempts: 1, CrashLimit: 1, FirstMS: 1, FactorMilli: 1000, CapMS: 1, JitterPercent: 1, DeadlineMS: 1,
		PermanentOn: []string{"-"}, DiscardOn: []string{"-"}},
}

// overrideCache keeps rewritten graphs: a program submits many jobs with few sets of options.
type overrideCache struct {
	mu     sync.Mutex // guards graphs
	graphs map[[32]byte][]byte
}

// overridesMax bounds the cache; at the bound it is emptied and fills again.
const overridesMax = 256

var overrides overrideCache

func (c *overrideCache) get(key [32]byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, ok := c.graphs[key]
	return out, ok
}

func (c *overrideCache) put(key [32]byte, graph []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.graphs == nil || len(c.graphs) >= overridesMax {
		c.graphs = make(map[[32]byte][]byte)
	}
	c.graphs[key] = graph
}
