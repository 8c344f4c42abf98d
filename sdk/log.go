package sdk

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// NoTaskLog, as WorkerConfig.TaskLog, sends no lines of tasks to the cluster.
const NoTaskLog = slog.Level(math.MaxInt32)

// Log is a logger for the task that is running. Its lines go to the worker's logger with the ids of the
// task, and, from the level WorkerConfig.TaskLog up, to the cluster, where they are kept with the job:
// `fanfold job logs`, Client.Logs. There a line has at most 4 KiB, a task its last 64 KiB and a job its
// last 4 MiB of lines. They travel together, within a second, and before the task's end. A line can be
// lost when the leader dies in the moment that it is on its way. Outside a task it panics.
func Log(ctx context.Context) *slog.Logger {
	a := attemptOf(ctx, "Log")
	m := a.msg
	local := a.session.log.With("job", m.Job, "step", m.Step, "shard", m.Task.GetShard(), "attempt", m.Attempt)
	t := &taskText{}
	t.handler = slog.NewTextHandler(&t.buf, &slog.HandlerOptions{Level: slog.LevelInfo})
	return slog.New(&logHandler{a: a, local: local.Handler(), text: t, attrs: t.handler})
}

// logHandler sends records two ways.
type logHandler struct {
	a     *attempt
	local slog.Handler
	text  *taskText
	attrs slog.Handler // writes into text
}

// taskText writes attributes as text, one record at a time.
type taskText struct {
	mu      sync.Mutex // guards buf
	buf     bytes.Buffer
	handler slog.Handler
}

func (h *logHandler) sends(l slog.Level) bool {
	return l >= h.a.session.worker.cfg.TaskLog.Level()
}

func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.sends(l) || h.local.Enabled(ctx, l)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.sends(r.Level) {
		h.a.session.logged(h.a, &apiv1.LogLine{TimeMs: r.Time.UnixMilli(), Level: int32(r.Level), Text: clip(h.line(ctx, r), maxLogText)})
	}
	if h.local.Enabled(ctx, r.Level) {
		return h.local.Handle(ctx, r)
	}
	return nil
}

// textHead is how the text handler begins a record that has no time and no message, of level info.
const textHead = `level=INFO msg=""`

// line is the message and, behind it, the attributes as key=value.
func (h *logHandler) line(ctx context.Context, r slog.Record) string {
	bare := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	r.Attrs(func(a slog.Attr) bool { bare.AddAttrs(a); return true })
	h.text.mu.Lock()
	defer h.text.mu.Unlock()
	h.text.buf.Reset()
	if err := h.attrs.Handle(ctx, bare); err != nil {
		return r.Message
	}
	return r.Message + string(bytes.TrimSuffix(bytes.TrimPrefix(h.text.buf.Bytes(), []byte(textHead)), []byte("\n")))
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.a, h.local.WithAttrs(attrs), h.text, h.attrs.WithAttrs(attrs)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.a, h.local.WithGroup(name), h.text, h.attrs.WithGroup(name)}
}

const (
	maxLogText    = 4 << 10
	maxTaskLog    = 64 << 10    // bytes of one attempt that wait
	maxSessionLog = 2 << 20     // of all of them
	maxLogMessage = 256 << 10   // bytes of lines in a message, beside those of tasks that end in it
	sayEvery      = time.Second // how long lines and progress wait for company
)

// lines are what an attempt has logged and what is not sent yet. Over its bound the oldest go.
type lines struct {
	msg  *apiv1.TaskLog
	size int
}

func lineSize(l *apiv1.LogLine) int { return len(l.Text) + 24 }

func (b *lines) add(l *apiv1.LogLine) (grown int) {
	b.msg.Lines = append(b.msg.Lines, l)
	grown = lineSize(l)
	for b.size+grown > maxTaskLog && len(b.msg.Lines) > 1 {
		grown -= lineSize(b.msg.Lines[0])
		b.msg.Lines = b.msg.Lines[1:]
		b.msg.Dropped++
	}
	b.size += grown
	return grown
}

// outLog is the lines of a session's attempts that wait to be sent.
type outLog struct {
	all   map[fence]*lines
	size  int
	timer *time.Timer // runs while something waits
	due   bool        // lines or progress have waited for sayEvery
}

// logged takes a line of an attempt.
func (s *session) logged(a *attempt, l *apiv1.LogLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[a.fence] != a {
		return // it is over
	}
	o := &s.out
	b := o.all[a.fence]
	if b == nil {
		if o.all == nil {
			o.all = map[fence]*lines{}
		}
		b = &lines{msg: &apiv1.TaskLog{Fence: a.msg.Fence, Task: a.msg.Task}}
		o.all[a.fence] = b
	}
	if o.size > maxSessionLog {
		b.msg.Dropped++
		return
	}
	o.size += b.add(l)
	s.soon()
}

// soon makes lines and progress travel within sayEvery, if nothing else takes them along before.
// Precondition: mu is held.
func (s *session) soon() {
	if s.out.timer == nil {
		s.out.timer = time.AfterFunc(sayEvery, s.sayNow)
	}
}

func (s *session) sayNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.due, s.out.timer = true, nil
	s.wakeUp()
}

// take removes the lines of an attempt; nil: there are none.
func (o *outLog) take(f fence) *lines {
	b := o.all[f]
	if b != nil {
		delete(o.all, f)
		o.size -= b.size
	}
	return b
}

// takeLogs puts the lines that wait into a message, as many as fit. Those of tasks whose reports are in it
// are there already. Precondition: mu is held.
func (s *session) takeLogs(m *apiv1.WorkRequest) {
	o := &s.out
	size := 0
	for f := range o.all {
		if size > maxLogMessage {
			break
		}
		b := o.take(f)
		size += b.size
		m.Logs = append(m.Logs, b.msg)
	}
	if len(o.all) > 0 {
		s.soon()
	}
}
