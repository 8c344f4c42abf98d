package sdk

import (
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

type workStream = connect.BidiStreamForClient[apiv1.WorkRequest, apiv1.WorkResponse]

// keepConnected opens one stream after another, until ctx ends, goodbye is said, or the cluster refuses
// the worker as it is.
func (s *session) keepConnected(ctx context.Context) error {
	c := s.worker.client
	ctx, cancel := c.alive(ctx)
	defer cancel()
	var pause backoff
	for ctx.Err() == nil {
		base, api := c.route.pick(ctx)
		welcomed, err := s.connect(ctx, api)
		if s.isGone() || ctx.Err() != nil {
			break
		}
		v := c.judge(base, err)
		// STALE ends a stream whose session was closed for its silence, before this worker could hear of it,
		// as after kill -STOP and -CONT: the next hello opens another, and drops what was held.
		if v.final && !errors.Is(v.err, ErrLeaseLost) {
			return v.err
		}
		if welcomed {
			pause.reset()
			s.log.Info("worker has lost its stream", "node", base, "error", err)
		} else {
			s.log.Debug("worker finds no leader", "node", base, "error", err)
		}
		pause.wait(ctx, v)
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrClosed) {
		return cause
	}
	return nil
}

func (s *session) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

func (s *session) setGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
}

// connect works on one stream until it ends. welcomed: the leader has taken the worker.
func (s *session) connect(ctx context.Context, api apiv1connect.FanfoldClient) (welcomed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := api.Work(ctx)
	sent := time.Now()
	// A send that fails says io.EOF; the reason is what Receive says.
	if err := stream.Send(&apiv1.WorkRequest{Hello: s.hello(cancel)}); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	welcomeTimer := time.AfterFunc(tryTimeout, cancel)
	first, err := stream.Receive()
	if !welcomeTimer.Stop() || err != nil {
		if err == nil {
			err = context.DeadlineExceeded
		}
		return false, err
	}
	if first.Welcome == nil {
		return false, &APIError{Code: "INTERNAL", Message: "the stream did not begin with a welcome"}
	}
	s.welcome(first.Welcome, sent)
	s.receive(first)
	ended := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Receive()
			if err != nil {
				ended <- err
				return
			}
			s.receive(m)
		}
	}()
	err = s.sendAll(stream, ended)
	cancel()
	return true, err
}

// hello opens a session or takes it up again, with all that this worker still holds.
func (s *session) hello(hangUp context.CancelFunc) *apiv1.Hello {
	cfg := &s.worker.cfg
	h := &apiv1.Hello{
		Namespace: s.worker.client.cfg.Namespace, Worker: cfg.Name, Labels: cfg.Labels, TtlMs: cfg.LeaseTTL.Milliseconds(),
		Slots: uint32(cfg.Slots), Strict: cfg.Strict,
	}
	for _, q := range slices.Sorted(maps.Keys(cfg.Queues)) {
		h.Queues = append(h.Queues, &apiv1.QueueSlots{Queue: q, Slots: uint32(cfg.Queues[q])})
	}
	for _, name := range slices.Sorted(maps.Keys(s.worker.tasks)) {
		h.Kinds = append(h.Kinds, &apiv1.TaskKind{Name: name, Types: s.worker.tasks[name].types})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUp = hangUp
	s.beatSent = time.Time{}
	s.drained = false
	h.Session, h.Nonce = s.id, s.nonce
	s.waiting, s.later = nil, nil
	for _, r := range s.reports { // the answers to some were lost with the last stream
		s.waiting = append(s.waiting, r)
		h.Held = append(h.Held, r.Fence)
	}
	for f, a := range s.running {
		if !a.gone.Load() {
			h.Held = append(h.Held, f.proto())
		}
	}
	return h
}

// welcome takes the leader's answer to hello, which was sent after the time sent.
func (s *session) welcome(w *apiv1.Welcome, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ttl = time.Duration(w.TtlMs) * time.Millisecond
	s.beat = time.Duration(w.HeartbeatMs) * time.Millisecond
	if s.beat <= 0 {
		s.beat = max(s.ttl/3, 100*time.Millisecond)
	}
	s.renew(sent)
	for _, f := range w.Drop {
		s.revoke(fenceOf(f), ErrLeaseLost)
	}
	if !w.Resumed {
		for f := range s.running { // they were leased to the session before
			s.revoke(f, ErrLeaseLost)
		}
		s.nonce = newNonce()
	}
	s.recallPrefetch(w.Resumed)
	s.log.Info("worker is connected", "session", w.Session, "resumed", w.Resumed, "dropped", len(w.Drop))
	s.id = w.Session
}

// sendAll sends what there is to send, in as few messages as go, until the stream ends.
func (s *session) sendAll(stream *workStream, ended <-chan error) error {
	ticker := time.NewTicker(s.beat)
	defer ticker.Stop()
	beat := false
	for {
		for m := s.take(beat); m != nil; m = s.take(false) {
			if err := stream.Send(m); errors.Is(err, io.EOF) {
				return <-ended // the reason is what Receive says
			} else if err != nil {
				return err
			}
			if m.Goodbye {
				s.setGone()
				stream.CloseRequest()
				return <-ended
			}
		}
		beat = false
		select {
		case <-s.wake:
			// Tasks that were assigned by one message tend to end together: let those that can finish now.
			runtime.Gosched()
		case <-ticker.C:
			beat = true
		case err := <-ended:
			return err
		}
	}
}

// Limits of one message, so that a heartbeat never waits behind much.
const (
	maxReports     = 1000
	maxReportBytes = 1 << 20
)

// take makes the next message; nil when there is nothing to say.
func (s *session) take(beat bool) *apiv1.WorkRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &apiv1.WorkRequest{}
	if beat {
		s.beatNow(m)
	}
	s.takeReports(m)
	if len(s.out.all) > 0 && (beat || s.out.due || m.Reports != nil) {
		s.takeLogs(m)
	}
	for f, p := range s.progress {
		m.Progress = append(m.Progress, p)
		delete(s.progress, f)
	}
	s.tellPrefetch(m)
	if s.draining && !s.drained {
		m.Drain, s.drained = true, true
	}
	if s.leaving && len(s.waiting) == 0 && !s.gone {
		m.Goodbye = true
	}
	// Progress alone waits a little for company.
	due := s.out.due
	s.out.due = false
	if m.Reports == nil && m.Logs == nil && !(due && m.Progress != nil) && !m.Heartbeat && m.Prefetch == nil && !m.Drain && !m.Goodbye {
		for _, p := range m.Progress {
			s.progress[fenceOf(p.Fence)] = p
		}
		return nil
	}
	return m
}

// beatNow adds a sign of life. Only one is on its way at a time, so that each answer has its sending time.
func (s *session) beatNow(m *apiv1.WorkRequest) {
	if s.beatSent.IsZero() {
		m.Heartbeat, s.beatSent = true, time.Now()
	}
	s.waiting = append(s.waiting, s.later...)
	s.later = nil
}

// takeReports takes reports from waiting, as many as fit in a message, each with the lines that its task
// has logged last. Precondition: mu is held.
func (s *session) takeReports(m *apiv1.WorkRequest) {
	n, size := 0, 0
	for n < len(s.waiting) && n < maxReports && (n == 0 || size < maxReportBytes) {
		r := s.waiting[n]
		f := fenceOf(r.Fence)
		size += len(r.GetResult().GetInline()) + 64
		if b := s.out.take(f); b != nil {
			if s.last == nil {
				s.last = map[fence]*apiv1.TaskLog{}
			}
			s.last[f] = b.msg
		}
		if l := s.last[f]; l != nil {
			m.Logs = append(m.Logs, l)
			size += proto.Size(l)
		}
		n++
	}
	if n > 0 {
		m.Reports = s.waiting[:n:n]
		s.waiting = s.waiting[n:]
	}
}
