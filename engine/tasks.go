package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// SaveTask keeps a checkpoint of a running task. When it has returned, every later attempt of the task
// finds it. It goes with the reports, before submissions: a handler waits for it.
func (e *Engine) SaveTask(ctx context.Context, c *fsmpb.SaveTask) (index uint64, err error) {
	_, index, err = e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_SaveTask{SaveTask: c}})
	return index, err
}

// LogTask keeps lines that tasks of this stream's session have logged. Reports that are given to Report
// after it come after it in the log. Nobody waits for it, and what does not fit into the report queue is
// dropped: a log is worth less than a result.
func (s *Stream) LogTask(tasks []*fsmpb.TaskLines) {
	if len(tasks) == 0 {
		return
	}
	r, err := newRequest([]*fsmpb.Command{{Kind: &fsmpb.Command_LogTask{LogTask: &fsmpb.LogTask{Session: s.Session(), Tasks: tasks}}}}, noReply{})
	if err != nil {
		s.e.cfg.Logger.Error("command not marshalled", "error", err)
		return
	}
	if err := s.e.inbox.push(urgent, r); err != nil {
		s.e.cfg.Logger.Debug("task log dropped", "session", s.Session(), "error", err)
	}
}
