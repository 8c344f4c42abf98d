package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// leaderScript is a node to which a worker comes. Each stream of the worker is handed to the test.
type leaderScript struct {
	streams chan *leaderStream
	logs    logs
}

type leaderStream struct {
	*workStream
	t     *testing.T
	hello *apiv1.Hello
	in    chan *apiv1.WorkRequest
	end   chan error
	bye   bool // goodbye was said
}

// startWorker runs a worker against a scripted leader. stop ends its context; the worker's end is on done.
func startWorker(t *testing.T, cfg sdk.WorkerConfig, tasks ...sdk.Registrable) (l *leaderScript, stop func(), done chan error) {
	t.Helper()
	n := pipenet.New()
	l = &leaderScript{streams: make(chan *leaderStream)}
	node := &scripted{work: func(ctx context.Context, s *workStream) error {
		m, err := s.Receive()
		if err != nil {
			return err
		}
		ls := &leaderStream{workStream: s, t: t, hello: m.Hello, in: make(chan *apiv1.WorkRequest, 1000), end: make(chan error, 1)}
		go func() {
			defer close(ls.in)
			for {
				m, err := s.Receive()
				if err != nil {
					return
				}
				ls.in <- m
			}
		}()
		l.streams <- ls
		return <-ls.end
	}}
	serve(t, n, "a:1", node)
	cfg.Name, cfg.Logger = "w", l.logs.logger()
	w := sdk.NewWorker(dial(t, n, "a:1"), cfg)
	w.Register(tasks...)
	ctx, stop := context.WithCancel(t.Context())
	done = make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return l, stop, done
}

// next is the worker's next stream, welcomed.
func (l *leaderScript) next(t *testing.T, resumed bool, drop ...*apiv1.Fence) *leaderStream {
	t.Helper()
	s := <-l.streams
	s.send(&apiv1.WorkResponse{Welcome: &apiv1.Welcome{Session: 7, TtlMs: 15000, HeartbeatMs: 5000, Resumed: resumed, Drop: drop}})
	return s
}

func (s *leaderStream) send(m *apiv1.WorkResponse) {
	s.t.Helper()
	if err := s.Send(m); err != nil {
		s.t.Errorf("send: %v", err)
	}
}

// assign gives the worker attempts of a task under the fences 1.0, 2.0, ...
func (s *leaderStream) assign(kind, input string, timeout time.Duration, fences ...uint64) {
	s.t.Helper()
	m := &apiv1.WorkResponse{}
	for _, f := range fences {
		m.Assignments = append(m.Assignments, &apiv1.Assignment{
			Fence: &apiv1.Fence{Index: f}, Task: &apiv1.Task{Step: 0, Shard: f}, Kind: kind, Step: "step", Job: "JOB",
			Workflow: "flow", Attempt: 2, Crashes: 1, TimeoutMs: timeout.Milliseconds(), Input: []byte(input), Queue: "default",
		})
	}
	s.send(m)
}

// reports waits for n reports, answering heartbeats meanwhile, and describes them.
func (s *leaderStream) reports(n int) (all []*apiv1.Report) {
	s.t.Helper()
	for len(all) < n {
		m, ok := <-s.in
		if !ok {
			s.t.Fatalf("the stream ended after %d of %d reports", len(all), n)
		}
		s.answer(m)
		all = append(all, m.Reports...)
	}
	return all
}

func (s *leaderStream) answer(m *apiv1.WorkRequest) {
	s.bye = s.bye || m.Goodbye
	if m.Heartbeat {
		s.send(&apiv1.WorkResponse{Heartbeat: true})
	}
}

func (s *leaderStream) ack(code string, reports ...*apiv1.Report) {
	s.t.Helper()
	m := &apiv1.WorkResponse{}
	for _, r := range reports {
		m.Acks = append(m.Acks, &apiv1.Ack{Fence: r.Fence, Accepted: code == "", Code: code})
	}
	s.send(m)
}

func (s *leaderStream) kill() {
	s.end <- connect.NewError(connect.CodeUnavailable, errors.New("the leader died"))
}

// leave answers what a draining worker says until its goodbye, and ends the stream.
func (s *leaderStream) leave() {
	for !s.bye {
		m, ok := <-s.in
		if !ok {
			return
		}
		s.answer(m)
		s.ack("", m.Reports...)
	}
	s.end <- nil
}

func describe(r *apiv1.Report) string {
	switch o := r.Outcome.(type) {
	case *apiv1.Report_Result:
		return fmt.Sprintf("%d: %s", r.Fence.Index, o.Result.Inline)
	case *apiv1.Report_Failure:
		f := o.Failure
		s := fmt.Sprintf("%d: %s %q", r.Fence.Index, f.Error.Type, f.Error.Message)
		if f.Permanent {
			s += " permanent"
		}
		if f.Snooze {
			s += " snooze"
		}
		if f.RetryAfterMs > 0 {
			s += fmt.Sprintf(" after %d ms", f.RetryAfterMs)
		}
		if f.Error.Stack != "" {
			s += " with stack"
		}
		return s
	}
	return fmt.Sprintf("%d: released", r.Fence.Index)
}

// stuck is a task that ends with its context, and tells why.
func stuck(causes chan error) *sdk.Task[int, int] {
	return sdk.NewTask("stuck", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return 0, ctx.Err()
	})
}

func TestWorker_ReportsEveryKindOfEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom, forever := errors.New("boom"), make(chan int)
		defer close(forever)
		ends := sdk.NewTask("ends", func(ctx context.Context, how string) (string, error) {
			switch how {
			case "key":
				return fmt.Sprint(sdk.Key(ctx), " ", sdk.Fence(ctx), " ", sdk.Info(ctx)), nil
			case "error":
				return "", fmt.Errorf("wrapped: %w", boom)
			case "permanent":
				return "", sdk.Permanent(boom)
			case "later":
				return "", sdk.RetryAfter(boom, time.Minute)
			case "snooze":
				return "", sdk.Snooze(time.Hour)
			case "panic":
				panic("ouch\xff")
			case "goexit":
				runtime.Goexit()
			case "slow":
				<-ctx.Done()
				return "", ctx.Err()
			case "deaf":
				<-forever
			}
			return how, nil
		})
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, ends)
		s := l.next(t, false)
		if got := s.hello; got.Worker != "w" || got.Namespace != "default" || got.TtlMs != 15000 || got.Session != 0 ||
			len(got.Nonce) != 16 || len(got.Kinds) != 1 || len(got.Queues) != 1 || got.Queues[0].Slots != 8 {
			t.Errorf("hello %v", got)
		}
		for i, c := range []struct{ input, want string }{
			{`"ok"`, `"ok"`},
			{`"key"`, `"JOB/step/2 2097152 {JOB flow step ends 2 2 1 default w 0001-01-01 00:00:00 +0000 UTC  0001-01-01 00:00:00 +0000 UTC}"`},
			{`"error"`, `*fmt.wrapError "wrapped: boom"`},
			{`"permanent"`, `*errors.errorString "boom" permanent`},
			{`"later"`, `*errors.errorString "boom" after 60000 ms`},
			{`"snooze"`, ` "snoozed for 1h0m0s" snooze after 3600000 ms`},
			{`"panic"`, `*sdk.PanicError "panic: ouch" with stack`},
			{`"goexit"`, `*errors.errorString "the function ended its goroutine by runtime.Goexit"`},
			{`7`, `*sdk.CodecError "the input does not fit string: json: cannot unmarshal number into Go value of type string" permanent`},
		} {
			s.assign("ends", c.input, 0, uint64(i+1))
			r := s.reports(1)
			s.ack("", r...)
			if got, want := describe(r[0]), fmt.Sprintf("%d: %s", i+1, c.want); got != want {
				t.Errorf("%s:\ngot  %s\nwant %s", c.input, got, want)
			}
		}
		start := time.Now()
		for _, c := range []struct {
			how string
			at  time.Duration
		}{{`"slow"`, time.Minute}, {`"deaf"`, time.Minute + 10*time.Second}} {
			s.assign("ends", c.how, time.Minute, 100)
			r := s.reports(1)
			s.ack("", r...)
			if got, want := describe(r[0]), `100: context.deadlineExceededError "context deadline exceeded"`; got != want {
				t.Errorf("%s: got %s, want %s", c.how, got, want)
			}
			if got := time.Since(start); got != c.at {
				t.Errorf("%s: ended after %v, want %v", c.how, got, c.at)
			}
			start = time.Now()
		}
		if !l.logs.has("ignores its timeout") {
			t.Error("the log does not mention the function that was given up")
		}
		stop()
		go s.leave()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWorker_ResultsOfOneMessageShareOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan int)
		wait := sdk.NewTask("wait", func(context.Context, int) (int, error) { return <-gate, nil })
		l, stop, done := startWorker(t, sdk.WorkerConfig{Queues: map[string]int{"default": 500}}, wait)
		s := l.next(t, false)
		fences := make([]uint64, 500)
		for i := range fences {
			fences[i] = uint64(i + 1)
		}
		s.assign("wait", "1", 0, fences...)
		synctest.Wait()
		close(gate)
		synctest.Wait()
		if n := len(s.in); n > 50 {
			t.Errorf("500 results came in %d messages", n)
		}
		s.ack("", s.reports(500)...)
		stop()
		go s.leave()
		<-done
	})
}

func TestWorker_UnacknowledgedReportsAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, tInc, stuck(causes))
		s := l.next(t, false)
		s.assign("inc", "41", 0, 1, 2)
		s.assign("stuck", "1", 0, 3)
		first := s.reports(2)
		s.ack("", first[0])
		synctest.Wait()
		s.kill()
		s = l.next(t, true)
		if h := s.hello; h.Session != 7 || len(h.Held) != 2 || h.Held[0].Index != first[1].Fence.Index || h.Held[1].Index != 3 {
			t.Errorf("hello %v", h)
		}
		s.assign("inc", "41", 0, first[1].Fence.Index) // the leader repeats what it thinks the worker lacks
		again := s.reports(1)
		if got, want := describe(again[0]), describe(first[1]); got != want {
			t.Errorf("second report %s, want %s", got, want)
		}
		s.ack("STALE", again...)
		s.send(&apiv1.WorkResponse{Revokes: []*apiv1.Revoke{{Fence: &apiv1.Fence{Index: 3}, Cause: "JOB_CANCELED"}}})
		if cause := <-causes; cause != sdk.ErrJobCanceled {
			t.Errorf("cause %v", cause)
		}
		if got := describe(s.reports(1)[0]); got != "3: released" {
			t.Errorf("report %s", got)
		}
		if !l.logs.has("a report was refused: its lease was over") {
			t.Error("the log does not mention the stale report")
		}
		stop()
		go s.leave()
		<-done
	})
}

func TestWorker_DroppedAttemptIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 2)
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, stuck(causes))
		s := l.next(t, false)
		s.assign("stuck", "1", 0, 1)
		synctest.Wait()
		s.kill()
		s = l.next(t, true, &apiv1.Fence{Index: 1})
		if cause := <-causes; cause != sdk.ErrLeaseLost {
			t.Errorf("cause %v", cause)
		}
		stop()
		s.leave()
		<-done
	})
}

// TestWorker_ClosedSessionIsReplaced: a worker that was stopped for longer than its lease reads, at last, that
// its session is closed.
func TestWorker_ClosedSessionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, stuck(causes))
		s := l.next(t, false)
		nonce := s.hello.Nonce
		s.assign("stuck", "1", 0, 1)
		synctest.Wait()
		s.end <- refusal(connect.CodeFailedPrecondition, &apiv1.ErrorInfo{Code: "STALE", Message: "the session was closed; open a new one"})
		s = l.next(t, false, &apiv1.Fence{Index: 1})
		if string(s.hello.Nonce) == string(nonce) {
			t.Error("the new session has the nonce of the old one")
		}
		if cause := <-causes; cause != sdk.ErrLeaseLost {
			t.Errorf("cause %v", cause)
		}
		stop()
		s.leave()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestWorker_LeaseEndsWithoutAnswers: the last answer was to the heartbeat of second 5, and so the lease ends
// at second 20, whenever the answer came.
func TestWorker_LeaseEndsWithoutAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		causes := make(chan error, 1)
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, stuck(causes))
		s := l.next(t, false)
		s.assign("stuck", "1", 0, 1)
		m := <-s.in
		time.Sleep(3 * time.Second)
		s.answer(m)
		if cause := <-causes; cause != sdk.ErrLeaseLost {
			t.Errorf("cause %v", cause)
		}
		if got := time.Since(start); got != 20*time.Second {
			t.Errorf("the lease ended after %v, want 20s", got)
		}
		s.end <- nil
		s = l.next(t, true) // the worker has hung up and comes again; the task was still its own
		if got := describe(s.reports(1)[0]); got != "1: released" {
			t.Errorf("report %s", got)
		}
		stop()
		go s.leave()
		<-done
	})
}

// TestWorker_Drain goes through the times of a drain: tasks that end by themselves, those that heed
// their context at half time, and those that heed nothing.
func TestWorker_Drain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		nap := sdk.NewTask("nap", func(context.Context, int) (int, error) { time.Sleep(3 * time.Second); return 1, nil })
		forever := make(chan int)
		deaf := sdk.NewTask("deaf", func(context.Context, int) (int, error) { return <-forever, nil })
		l, stop, done := startWorker(t, sdk.WorkerConfig{DrainTimeout: 20 * time.Second}, nap, deaf, stuck(causes))
		defer close(forever)
		s := l.next(t, false)
		s.assign("nap", "1", 0, 1)
		s.assign("stuck", "1", 0, 2)
		s.assign("deaf", "1", 0, 3)
		synctest.Wait()
		start := time.Now()
		stop()
		if m := <-s.in; !m.Drain || m.Goodbye {
			t.Errorf("message %v", m)
		}
		s.assign("nap", "1", 0, 4) // was on its way
		for _, want := range []struct {
			report string
			at     time.Duration
		}{{"4: released", 0}, {"1: 1", 3 * time.Second}, {"2: released", 10 * time.Second}, {"3: released", 20 * time.Second}} {
			r := s.reports(1)
			s.ack("", r...)
			if got := describe(r[0]); got != want.report || time.Since(start) != want.at {
				t.Errorf("report %s at %v, want %s at %v", got, time.Since(start), want.report, want.at)
			}
		}
		if cause := <-causes; cause != sdk.ErrDraining {
			t.Errorf("cause %v", cause)
		}
		s.leave()
		if err := <-done; err != nil || time.Since(start) != 20*time.Second {
			t.Errorf("Run returned %v at %v", err, time.Since(start))
		}
	})
}

func TestWorker_DrainWithoutALeaderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sdk.NewWorker(dial(t, pipenet.New(), "a:1"), sdk.WorkerConfig{})
		w.Register(tInc)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestWorker_RefusedResultBecomesAFailure: otherwise the task would stay leased for ever.
func TestWorker_RefusedResultBecomesAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, tInc)
		s := l.next(t, false)
		s.assign("inc", "1", 0, 1)
		s.ack("OVERLOADED", s.reports(1)...)
		s.ack("TOO_LARGE", s.reports(1)...) // it comes again with the heartbeat
		r := s.reports(1)
		if got, want := describe(r[0]), `1: sdk.Refused "the result was refused: TOO_LARGE: " permanent`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		s.ack("", r...)
		s.assign("inc", "1", 0, 2)
		s.ack("NOT_FOUND", s.reports(1)...) // its upload is gone
		r = s.reports(1)
		if got := describe(r[0]); got != "2: released" {
			t.Errorf("got %s", got)
		}
		s.ack("", r...)
		stop()
		go s.leave()
		<-done
	})
}

func TestWorker_ProgressTravelsWithTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan int)
		count := sdk.NewTask("count", func(ctx context.Context, _ int) (int, error) {
			for i := range 10 {
				sdk.Progress(ctx, int64(i), 10, "item")
			}
			return <-gate, nil
		})
		l, stop, done := startWorker(t, sdk.WorkerConfig{}, count)
		s := l.next(t, false)
		s.assign("count", "1", 0, 1)
		m := <-s.in
		s.answer(m)
		if len(m.Progress) != 1 || m.Progress[0].Done != 9 || m.Progress[0].Total != 10 || m.Progress[0].Note != "item" {
			t.Errorf("progress %v", m.Progress)
		}
		close(gate)
		s.ack("", s.reports(1)...)
		stop()
		go s.leave()
		<-done
	})
}

func TestWorker_MistakesAreReportedTogether(t *testing.T) {
	c := dial(t, pipenet.New(), "a:1")
	w := sdk.NewWorker(c, sdk.WorkerConfig{Queues: map[string]int{"a b": 0}, LeaseTTL: time.Millisecond, DrainTimeout: -1})
	declared, missing := sdk.Declare[int, int]("declared"), sdk.Declare[int, int]("missing")
	w.Register(tInc, tInc.With(sdk.NoRetry()), declared, missing, declared.Bind(func(context.Context, int) (int, error) { return 0, nil }))
	w.Register(sdk.NewTask("inc", func(context.Context, int) (int, error) { return 0, nil }))
	err := w.Run(t.Context())
	if err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("error %v", err)
	}
	if err := sdk.NewWorker(c, sdk.WorkerConfig{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no task is registered") {
		t.Errorf("error %v", err)
	}
}

func TestInfo_OutsideATaskPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	sdk.Key(context.Background())
}
