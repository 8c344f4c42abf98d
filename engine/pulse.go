package engine

import (
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// pulseSlack is how much longer than its heartbeat limit an attempt may be silent: a sign of life waits up to a
// second at the worker for company.
const pulseSlack = 2 * time.Second

// pulse is an attempt whose function has to give a sign of life. Like sessions' heartbeats these are known to
// the leader alone: a new one gives each attempt a full fresh limit, so that one may end late and never early.
type pulse struct {
	task  fsm.TaskRef
	limit time.Duration
	heard time.Duration // mono
}

// watch begins to expect signs of life of an attempt.
func (b *progressBoard) watch(f fsm.Fence, task fsm.TaskRef, limitMS int64, now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pulses == nil {
		b.pulses = make(map[fsm.Fence]*pulse)
	}
	b.pulses[f] = &pulse{task: task, limit: time.Duration(limitMS)*time.Millisecond + pulseSlack, heard: now}
}

// silent returns the attempts that were not heard of within their limits, and expects no more of them. After a
// gap in which this process did not run, as in sessions.silent, all are armed afresh.
func (b *progressBoard) silent(session uint64, now, gap time.Duration) (cmds []*fsmpb.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f, p := range b.pulses {
		switch {
		case gap > p.limit/2:
			p.heard = now
		case now-p.heard > p.limit:
			delete(b.pulses, f)
			cmds = append(cmds, &fsmpb.Command{Kind: &fsmpb.Command_TimeOutTask{
				TimeOutTask: &fsmpb.TimeOutTask{Session: session, Fence: f.Proto(), Task: p.task.Proto()}}})
		}
	}
	return cmds
}

// loadPulses expects signs of life of what runs at the beginning of a term.
func (e *Engine) loadPulses(v *fsm.View) error {
	all, err := v.Pulses()
	if err != nil {
		return err
	}
	for _, p := range all {
		if one := e.sessions.byID[p.Session]; one != nil {
			one.progress.watch(p.Fence, p.Task, p.LimitMS, e.mono())
		}
	}
	return nil
}

// endSilent proposes the end of attempts whose functions have fallen silent.
func (e *Engine) endSilent(now, gap time.Duration) {
	for _, one := range e.sessions.byID {
		for _, cmd := range one.progress.silent(one.id, now, gap) {
			e.cfg.Logger.Info("attempt gives no sign of life", "session", one.id, "task", cmd.GetTimeOutTask().GetTask())
			e.enqueue(cmd)
		}
	}
}

// pulses takes from a result what begins and what is over.
func (e *Engine) pulses(res *fsm.Result) {
	for i := range res.Grants {
		if g := &res.Grants[i]; g.HeartbeatMS > 0 {
			if one := e.sessions.byID[g.Session]; one != nil {
				one.progress.watch(g.Fence, g.Task, g.HeartbeatMS, e.mono())
			}
		}
	}
	for _, r := range res.Revokes {
		if one := e.sessions.byID[r.Session]; one != nil {
			one.progress.forget([]fsm.Fence{r.Fence})
		}
	}
}
