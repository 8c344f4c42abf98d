package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// What the planted bugs do that do not fit into their line. Nothing here is in a release: nothing calls it.

// submitUnheard answers submissions without waiting for the log.
func (e *Engine) submitUnheard(jobs []*fsmpb.SubmitJob, cmds []*fsmpb.Command) ([]fsm.Answer, uint64, error) {
	go func() { _, _ = e.do(context.Background(), bulk, cmds...) }()
	answers := make([]fsm.Answer, len(jobs))
	for i, j := range jobs {
		answers[i] = fsm.Answer{Job: fsm.JobID(j.Job), State: fsm.JobRunning}
	}
	index, _ := e.cfg.Machine.Applied()
	return answers, index, nil
}

// trusting is a log that does not ask a majority whether this node leads.
type trusting struct{ Log }

func (trusting) VerifyLeader(context.Context) error { return nil }
