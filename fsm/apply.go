package fsm

import (
	"fmt"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// LogEntry is one committed entry of the replicated log.
type LogEntry struct {
	Index, Term uint64
	Data        []byte // EncodeEntry
}

// Apply applies committed entries in order, as one Pebble batch, and returns a result for each; nil
// for one at or below the applied index, which was applied before.
//
// An error is a fault of this machine: a part of the entries may be applied in memory, and the process
// has to stop; after a restart the log repeats them. Only one goroutine may call Apply.
func (m *Machine) Apply(entries []LogEntry) (results []*Result, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fault:
			err = r.err
		default:
			panic(r)
		}
	}()
	results = make([]*Result, len(entries))
	m.begin()
	for i, e := range entries {
		if e.Index <= m.state.index {
			continue
		}
		entry, err := DecodeEntry(e.Data)
		if err != nil {
			return nil, fmt.Errorf("%w (log index %d)", err, e.Index)
		}
		results[i] = m.apply(e, entry)
		if hash := asksHash(entry); hash || len(m.tx.ranges) > 0 {
			m.commit()
			if hash {
				m.hash(e.Index)
			}
			m.begin()
		}
	}
	m.commit()
	return results, nil
}

// apply is one entry: what is due by its time, its commands, then leases for what became runnable.
func (m *Machine) apply(e LogEntry, entry *fsmpb.Entry) *Result {
	t := m.tx
	if planted.ChunkLost && e.Term != m.state.term {
		t.loseItems()
	}
	if planted.FullBucket && e.Term != m.state.term {
		t.refill()
	}
	m.state.index, m.state.term = e.Index, e.Term
	m.state.nowMS = max(m.state.nowMS, entry.NowMs)
	t.index, t.now, t.pos = e.Index, m.state.nowMS, 0
	t.retired = 0
	clear(t.touched)
	t.res = &Result{Index: e.Index, Answers: make([]Answer, len(entry.Commands))}
	t.expire()
	t.fire()
	for i, c := range entry.Commands {
		t.res.Answers[i] = t.run(c)
	}
	t.match()
	t.flushSessions()
	t.forget()
	if next, ok := t.firstTimer(); ok {
		t.res.NextDueMS = int64(next.a)
	}
	if w, ok := t.m.wakes.Min(); ok && (t.res.NextDueMS == 0 || w.at < t.res.NextDueMS) {
		t.res.NextDueMS = w.at
	}
	return t.res
}

// run applies one command. This is the list of all that can ever be in the log. A kind that this
// binary does not know stops the node: skipping it would make the node diverge.
func (t *tx) run(c *fsmpb.Command) Answer {
	switch k := c.Kind.(type) {
	case *fsmpb.Command_SubmitJob:
		t.asked = true
		a := submitJob(t, k.SubmitJob)
		t.asked = false
		return a
	case *fsmpb.Command_CancelJob:
		return cancelJob(t, k.CancelJob)
	case *fsmpb.Command_RetryJob:
		return retryJob(t, k.RetryJob)
	case *fsmpb.Command_PurgeJob:
		return purgeJob(t, k.PurgeJob)
	case *fsmpb.Command_OpenSession:
		return openSession(t, k.OpenSession)
	case *fsmpb.Command_CloseSession:
		return closeSession(t, k.CloseSession)
	case *fsmpb.Command_DrainSession:
		return drainSession(t, k.DrainSession)
	case *fsmpb.Command_SetPrefetch:
		return setPrefetch(t, k.SetPrefetch)
	case *fsmpb.Command_CompleteTask:
		return completeTask(t, k.CompleteTask)
	case *fsmpb.Command_FailTask:
		return failTask(t, k.FailTask)
	case *fsmpb.Command_ReleaseTask:
		return releaseTask(t, k.ReleaseTask)
	case *fsmpb.Command_PutChunk:
		return putChunk(t, k.PutChunk)
	case *fsmpb.Command_HashState:
		return hashState(t, k.HashState)
	case *fsmpb.Command_InitCluster:
		return initCluster(t, k.InitCluster)

		// Queues, keys and limits.
	case *fsmpb.Command_SetQueue:
		return setQueue(t, k.SetQueue)
	case *fsmpb.Command_SetLimit:
		return setLimit(t, k.SetLimit)
	case *fsmpb.Command_DeleteLimit:
		return deleteLimit(t, k.DeleteLimit)
	case *fsmpb.Command_SetBudget:
		return setBudget(t, k.SetBudget)
	case *fsmpb.Command_PauseQueue:
		return pauseQueue(t, k.PauseQueue)
	case *fsmpb.Command_ResumeQueue:
		return resumeQueue(t, k.ResumeQueue)
	case *fsmpb.Command_DrainQueue:
		return drainQueue(t, k.DrainQueue)
	case *fsmpb.Command_UndrainQueue:
		return undrainQueue(t, k.UndrainQueue)
	case *fsmpb.Command_PurgeQueue:
		return purgeQueue(t, k.PurgeQueue)

		// Schedules.
	case *fsmpb.Command_SetSchedule:
		return setSchedule(t, k.SetSchedule)
	case *fsmpb.Command_DeleteSchedule:
		return deleteSchedule(t, k.DeleteSchedule)
	case *fsmpb.Command_PauseSchedule:
		return pauseSchedule(t, k.PauseSchedule)
	case *fsmpb.Command_TriggerSchedule:
		return triggerSchedule(t, k.TriggerSchedule)
	case *fsmpb.Command_BackfillSchedule:
		return backfillSchedule(t, k.BackfillSchedule)

		// Retries, dead jobs and time limits.
	case *fsmpb.Command_StartRedrive:
		return startRedrive(t, k.StartRedrive)
	case *fsmpb.Command_StopRedrive:
		return stopRedrive(t, k.StopRedrive)
	case *fsmpb.Command_DiscardJob:
		return discardJob(t, k.DiscardJob)
	case *fsmpb.Command_TimeOutTask:
		return timeOutTask(t, k.TimeOutTask)

		// Unique jobs and batches.
	case *fsmpb.Command_CreateBatch:
		return createBatch(t, k.CreateBatch)
	case *fsmpb.Command_CloseBatch:
		return closeBatch(t, k.CloseBatch)
	case *fsmpb.Command_ReopenBatch:
		return reopenBatch(t, k.ReopenBatch)
	case *fsmpb.Command_CancelBatch:
		return cancelBatch(t, k.CancelBatch)
	case *fsmpb.Command_PurgeBatch:
		return purgeBatch(t, k.PurgeBatch)

		// Webhooks.
	case *fsmpb.Command_SetWebhook:
		return setWebhook(t, k.SetWebhook)
	case *fsmpb.Command_ChangeWebhook:
		return changeWebhook(t, k.ChangeWebhook)
	case *fsmpb.Command_ReceiveWebhook:
		t.asked = true
		a := receiveWebhook(t, k.ReceiveWebhook)
		t.asked = false
		return a
	case *fsmpb.Command_ReportDelivery:
		return reportDelivery(t, k.ReportDelivery)
	case *fsmpb.Command_ReplayDelivery:
		return replayDelivery(t, k.ReplayDelivery)

		// Checkpoints and logs of tasks.
	case *fsmpb.Command_SaveTask:
		return saveTask(t, k.SaveTask)
	case *fsmpb.Command_LogTask:
		return logTask(t, k.LogTask)
	}
	panic(fault{fmt.Errorf("%w (a command of an unknown kind at log index %d)", ErrFormat, t.index)})
}

func asksHash(e *fsmpb.Entry) bool {
	for _, c := range e.Commands {
		if _, ok := c.Kind.(*fsmpb.Command_HashState); ok {
			return true
		}
	}
	return false
}

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

func no(code Code, format string, args ...any) Answer {
	return Answer{Refusal: refuse(code, format, args...)}
}
