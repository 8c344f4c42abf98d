package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// accept answers jobs as new.
func accept(jobs []*apiv1.Job) []*apiv1.SubmitResult {
	var results []*apiv1.SubmitResult
	for _, j := range jobs {
		results = append(results, &apiv1.SubmitResult{Id: j.Id})
	}
	return results
}

func TestSubmit_FollowsTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		follower := &scripted{leader: "old:1", submit: func(context.Context, []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			t.Error("a follower got the job")
			return nil, notLeader("")
		}}
		serve(t, n, "follower:1", follower)
		serve(t, n, "old:1", &scripted{submit: func(context.Context, []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			return nil, notLeader("new:1")
		}})
		serve(t, n, "new:1", &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			return accept(jobs), nil
		}})
		start := time.Now()
		if _, err := tInc.Submit(t.Context(), dial(t, n, "follower:1"), 1); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("following the leader took %v", d)
		}
	})
}

func TestSubmit_OutcomeUnknownIsRetriedWithTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		var ids []string
		serve(t, n, "a:1", &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			ids = append(ids, jobs[0].Id)
			switch len(ids) {
			case 1:
				return nil, refusal(connect.CodeUnavailable, &apiv1.ErrorInfo{Code: "OUTCOME_UNKNOWN"})
			case 2:
				return nil, connect.NewError(connect.CodeUnavailable, errors.New("reset"))
			case 3:
				return []*apiv1.SubmitResult{{Error: &apiv1.ErrorInfo{Code: "OVERLOADED", RetryAfterMs: 50}}}, nil
			}
			return []*apiv1.SubmitResult{{Id: jobs[0].Id, Existing: true}}, nil
		}})
		job, err := tInc.Submit(t.Context(), dial(t, n, "a:1"), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) != 4 || slices.ContainsFunc(ids, func(id string) bool { return id != job.ID() }) || !job.Existing() {
			t.Errorf("job %s (existing %v) was submitted as %v", job.ID(), job.Existing(), ids)
		}
	})
}

// gatedNode is a client of a node that answers submissions once gate is closed, and the number of jobs of each message
// that it has got.
func gatedNode(t *testing.T) (c *sdk.Client, gate chan struct{}, messages func() []int) {
	n := pipenet.New()
	var mu sync.Mutex
	var sizes []int
	gate = make(chan struct{})
	serve(t, n, "a:1", &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
		mu.Lock()
		sizes = append(sizes, len(jobs))
		mu.Unlock()
		<-gate
		return accept(jobs), nil
	}})
	return dial(t, n, "a:1"), gate, func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(sizes)
	}
}

func TestSubmit_ConcurrentCallsShareMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gate, messages := gatedNode(t)
		var wg sync.WaitGroup
		submit := func() {
			if _, err := tInc.Submit(t.Context(), c, 1); err != nil {
				t.Error(err)
			}
		}
		// One after another, while nothing is answered: a message leaves when as much waits as is on its way, four at most.
		for range 8 {
			wg.Go(submit)
			synctest.Wait()
		}
		if sizes, want := messages(), []int{1, 1, 2, 4}; !slices.Equal(sizes, want) {
			t.Errorf("messages of %v jobs before the first answer, want %v", sizes, want)
		}
		for range 2500 {
			wg.Go(submit)
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		sizes := messages()
		slices.Sort(sizes)
		if want := []int{1, 1, 2, 4, 500, 1000, 1000}; !slices.Equal(sizes, want) {
			t.Errorf("messages of %v jobs, want %v", sizes, want)
		}
	})
}

// TestSubmit_WhoLeavesBeforeItsMessageIsNotSubmitted: the caller is told that nothing was done.
func TestSubmit_WhoLeavesBeforeItsMessageIsNotSubmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gate, messages := gatedNode(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := sdk.SubmitBatch(t.Context(), c, tInc, []int{1, 2, 3}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if _, err := tInc.Submit(within(t, time.Second), c, 4); !errors.Is(err, sdk.ErrNoLeader) || errors.Is(err, sdk.ErrOutcomeUnknown) {
			t.Errorf("error %v", err)
		}
		close(gate)
		wg.Wait()
		synctest.Wait()
		if sizes := messages(); !slices.Equal(sizes, []int{3}) {
			t.Errorf("messages of %v jobs, want one of 3", sizes)
		}
	})
}

// TestSubmit_WhatIsPutOffHoldsNobodyBack: a job that the leader does not take at the moment waits for its next try, and
// is not on its way meanwhile.
func TestSubmit_WhatIsPutOffHoldsNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		serve(t, n, "a:1", &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			results := accept(jobs)
			for i, j := range jobs {
				if string(j.Input.Inline) == "666" {
					results[i] = &apiv1.SubmitResult{Error: &apiv1.ErrorInfo{Code: "OVERLOADED", RetryAfterMs: 1000}}
				}
			}
			return results, nil
		}})
		c := dial(t, n, "a:1")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := sdk.SubmitBatch(within(t, 10*time.Second), c, tInc, []int{1, 2, 666}); !errors.Is(err, sdk.ErrOverloaded) {
				t.Errorf("error %v", err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if _, err := tInc.Submit(t.Context(), c, 4); err != nil || time.Since(began) > 0 {
			t.Errorf("submitted after %v: %v", time.Since(began), err)
		}
		wg.Wait()
	})
}

func TestSubmitBatch_AnswersEachJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		serve(t, n, "a:1", &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			results := accept(jobs)
			results[1] = &apiv1.SubmitResult{Error: &apiv1.ErrorInfo{Code: "CONFLICT", Message: "taken"}}
			return results, nil
		}})
		jobs, err := sdk.SubmitBatch(t.Context(), dial(t, n, "a:1"), tInc, []int{1, 2, 3})
		if !errors.Is(err, sdk.ErrConflict) || !strings.Contains(err.Error(), "job 1: taken") {
			t.Errorf("error %v", err)
		}
		if len(jobs) != 3 || jobs[0] == nil || jobs[1] != nil || jobs[2] == nil {
			t.Errorf("jobs %v", jobs)
		}
	})
}

// TestCall_EndsAtTheDeadline goes through the ways in which nothing comes back.
func TestCall_EndsAtTheDeadline(t *testing.T) {
	hang := func(ctx context.Context, _ []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	refuse := func(code string) func(context.Context, []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
		return func(context.Context, []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			return nil, refusal(connect.CodeUnavailable, &apiv1.ErrorInfo{Code: code})
		}
	}
	cases := []struct {
		name   string
		submit func(context.Context, []*apiv1.Job) ([]*apiv1.SubmitResult, error)
		want   error
		limit  time.Duration // 0: the default
	}{
		{"nobody listens", nil, sdk.ErrNoLeader, 0},
		{"no leader", refuse("NO_LEADER"), sdk.ErrNoLeader, time.Minute},
		{"overloaded", refuse("OVERLOADED"), sdk.ErrOverloaded, time.Minute},
		{"no answer", hang, sdk.ErrOutcomeUnknown, 12 * time.Second},
		{"unknown", refuse("OUTCOME_UNKNOWN"), sdk.ErrOutcomeUnknown, time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := pipenet.New()
				if c.submit != nil {
					serve(t, n, "a:1", &scripted{submit: c.submit})
				}
				ctx, limit := t.Context(), 30*time.Second
				if c.limit > 0 {
					ctx, limit = within(t, c.limit), c.limit
				}
				start := time.Now()
				_, err := tInc.Submit(ctx, dial(t, n, "a:1"), 1)
				if !errors.Is(err, c.want) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if d := time.Since(start); d != limit {
					t.Errorf("the call took %v, want %v", d, limit)
				}
			})
		})
	}
}

func TestClose_EndsCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		hang := func(ctx context.Context) { <-ctx.Done() }
		serve(t, n, "a:1", &scripted{
			submit: func(ctx context.Context, _ []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
				hang(ctx)
				return nil, ctx.Err()
			},
			await: func(ctx context.Context, _ *awaitStream) error { hang(ctx); return ctx.Err() },
		})
		c := dial(t, n, "a:1")
		errs := make(chan error, 2)
		go func() { _, err := tInc.Submit(t.Context(), c, 1); errs <- err }()
		go func() { _, err := tInc.Attach(c, sdk.NewJobID()).Await(t.Context()); errs <- err }()
		synctest.Wait()
		c.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, sdk.ErrClosed) {
				t.Errorf("error %v", err)
			}
		}
		if _, err := c.Status(t.Context(), "x"); !errors.Is(err, sdk.ErrClosed) {
			t.Errorf("call after Close: %v", err)
		}
	})
}

func TestSubmit_ErrorsKeepTheirMeaning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		code := ""
		serve(t, n, "a:1", &scripted{submit: func(context.Context, []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			return nil, refusal(connect.CodeInvalidArgument, &apiv1.ErrorInfo{Code: code, Message: "say " + code})
		}})
		c := dial(t, n, "a:1")
		for want, err := range map[string]error{
			"NOT_FOUND": sdk.ErrNotFound, "INVALID": sdk.ErrInvalid, "CONFLICT": sdk.ErrConflict,
			"TOO_LARGE": sdk.ErrTooLarge, "TYPE_MISMATCH": sdk.ErrTypeMismatch, "NOT_ENDED": sdk.ErrNotEnded,
			"EXISTS": sdk.ErrExists, "QUEUE_DRAINING": sdk.ErrQueueDraining, "OVER_BUDGET": sdk.ErrOverBudget,
		} {
			code = want
			_, got := tInc.Submit(t.Context(), c, 1)
			var api *sdk.APIError
			if !errors.Is(got, err) || !errors.As(got, &api) || api.Code != want || got.Error() != "sdk: submit: say "+want {
				t.Errorf("%s: error %v", want, got)
			}
		}
	})
}

// TestSubmit_ATextThatCannotBeWrittenFailsAlone: what concurrent callers submit goes in common messages.
func TestSubmit_ATextThatCannotBeWrittenFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		serve(t, n, "a:1", &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			time.Sleep(time.Second) // the others wait together for the next message
			return accept(jobs), nil
		}})
		c := dial(t, n, "a:1")
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if _, err := tInc.Submit(t.Context(), c, i, sdk.JobKey("key")); err != nil {
					t.Errorf("a right job: error %v", err)
				}
			})
			for _, wrong := range []sdk.SubmitOption{sdk.JobKey("\xff"), sdk.Partition("\xff"), sdk.Header("k", "\xff"), sdk.Throttle("\xff", time.Second)} {
				all.Go(func() {
					if _, err := tInc.Submit(t.Context(), c, i, wrong); !errors.Is(err, sdk.ErrInvalid) {
						t.Errorf("a wrong one: error %v", err)
					}
				})
			}
		}
		all.Wait()
	})
}

func TestSubmit_LargeInputIsUploaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		var value *apiv1.Value
		node := &scripted{submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
			value = jobs[0].Input
			return accept(jobs), nil
		}}
		serve(t, n, "a:1", node)
		c := dial(t, n, "a:1")
		echo := sdk.Declare[string, string]("echo")
		text := strings.Repeat("x", 600<<10)
		if _, err := echo.Submit(t.Context(), c, text); err != nil {
			t.Fatal(err)
		}
		stored := node.blobs[string(value.GetBlob().GetId())]
		if want := `"` + text + `"`; string(stored) != want || value.Blob.Size != uint64(len(want)) || value.Inline != nil {
			t.Errorf("stored %d bytes as %v", len(stored), value.Blob)
		}
		_, err := echo.Submit(t.Context(), c, strings.Repeat("x", 64<<20))
		if !errors.Is(err, sdk.ErrTooLarge) {
			t.Errorf("64 MiB and two quotes: %v", err)
		}
	})
}

func TestReadResult_GoesOnWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		broken := false
		serve(t, n, "a:1", &scripted{call: func(_ string, i any) (any, error) {
			if i == 4 && !broken {
				broken = true
				return nil, notLeader("a:1")
			}
			return nil, nil
		}})
		var b bytes.Buffer
		if err := dial(t, n, "a:1").ReadResult(t.Context(), "x", &b); err != nil || b.String() != "0123456789" {
			t.Errorf("got %q, %v", b.String(), err)
		}
	})
}

func TestAwait_SharedStreamIsAskedAgainAfterItBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		var streams []int // ids that each stream was asked
		serve(t, n, "a:1", &scripted{await: func(ctx context.Context, s *awaitStream) error {
			streams = append(streams, 0)
			me := len(streams) - 1
			for {
				m, err := s.Receive()
				if err != nil {
					return err
				}
				streams[me] += len(m.Ids)
				if me == 0 {
					if streams[0] < 5 {
						continue
					}
					first := &apiv1.JobResult{Id: m.Ids[0], State: "SUCCESS", Result: []byte("7")}
					if err := s.Send(&apiv1.AwaitJobsResponse{Results: []*apiv1.JobResult{first}}); err != nil {
						return err
					}
					return connect.NewError(connect.CodeUnavailable, errors.New("the leader died"))
				}
				var all []*apiv1.JobResult
				for _, id := range m.Ids {
					all = append(all, &apiv1.JobResult{Id: id, State: "FAILURE", Error: &apiv1.TaskError{Step: "inc", Shard: 3, Message: "no", Type: "T"}})
				}
				if err := s.Send(&apiv1.AwaitJobsResponse{Results: all}); err != nil {
					return err
				}
			}
		}})
		c := dial(t, n, "a:1")
		errs := make(chan error, 6)
		for range 5 {
			go func() {
				_, err := tInc.Attach(c, sdk.NewJobID()).Await(t.Context())
				errs <- err
			}()
		}
		good := 0
		for range 5 {
			err := <-errs
			var je *sdk.JobError
			switch {
			case err == nil:
				good++
			case !errors.Is(err, sdk.ErrJobFailed) || errors.Is(err, sdk.ErrJobCanceled) || !errors.As(err, &je):
				t.Errorf("error %v", err)
			case je.Error() != fmt.Sprintf("job %s failed at step inc[3]: no", je.Job):
				t.Errorf("text %q", je)
			}
		}
		if good != 1 || !slices.Equal(streams, []int{5, 4}) {
			t.Errorf("%d results, streams were asked %v ids", good, streams)
		}
	})
}

func TestAwait_LeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		serve(t, n, "a:1", &scripted{await: func(ctx context.Context, s *awaitStream) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		_, err := tInc.Attach(dial(t, n, "a:1"), sdk.NewJobID()).Await(within(t, time.Hour))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// TestRetry_SecondTryOfARetryThatWorked: the answer to the first was lost, so the second finds the job running.
func TestRetry_SecondTryOfARetryThatWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		tries := 0
		serve(t, n, "a:1", &scripted{call: func(string, any) (any, error) {
			tries++
			if tries == 1 {
				return nil, refusal(connect.CodeUnavailable, &apiv1.ErrorInfo{Code: "OUTCOME_UNKNOWN"})
			}
			return nil, refusal(connect.CodeFailedPrecondition, &apiv1.ErrorInfo{Code: "NOT_ENDED"})
		}})
		c := dial(t, n, "a:1")
		if err := c.Retry(t.Context(), "x"); err != nil {
			t.Errorf("error %v", err)
		}
		if err := c.Retry(t.Context(), "x"); !errors.Is(err, sdk.ErrNotEnded) {
			t.Errorf("a first try: error %v", err)
		}
	})
}

// TestChange_ARefusalAfterOneThatWasCertainIsTold: only a try that may have worked explains that there is nothing left to do.
func TestChange_ARefusalAfterOneThatWasCertainIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		var answers []string
		serve(t, n, "a:1", &scripted{call: func(string, any) (any, error) {
			code := answers[0]
			answers = answers[1:]
			return nil, refusal(connect.CodeUnavailable, &apiv1.ErrorInfo{Code: code})
		}})
		c := dial(t, n, "a:1")
		for _, x := range []struct {
			answers []string
			kind    error // nil: it has worked
		}{
			{[]string{"NO_LEADER", "NOT_ENDED"}, sdk.ErrNotEnded},
			{[]string{"OVERLOADED", "NOT_LEADER", "NOT_ENDED"}, sdk.ErrNotEnded},
			{[]string{"NO_LEADER", "OUTCOME_UNKNOWN", "NOT_ENDED"}, nil},
			{[]string{"OUTCOME_UNKNOWN", "NO_LEADER", "NOT_ENDED"}, nil},
			{[]string{"OUTCOME_UNKNOWN", "INVALID"}, sdk.ErrInvalid},
		} {
			answers = x.answers
			if err := c.Retry(t.Context(), "x"); !errors.Is(err, x.kind) || errors.Is(err, sdk.ErrOutcomeUnknown) {
				t.Errorf("%v: error %v", x.answers, err)
			}
		}
	})
}

// TestChange_TheDeadlineOfATryOnItsWay: nobody knows whether it has worked, and a read has no such question.
func TestChange_TheDeadlineOfATryOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		serve(t, n, "a:1", &scripted{call: func(string, any) (any, error) {
			time.Sleep(10 * time.Second)
			return nil, errors.New("too late")
		}})
		c := dial(t, n, "a:1")
		if err := c.Retry(within(t, time.Second), "x"); !errors.Is(err, sdk.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a change: error %v", err)
		}
		for _, err := range c.List(within(t, time.Second), sdk.JobFilter{}) {
			if errors.Is(err, sdk.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a read: error %v", err)
			}
		}
		time.Sleep(10 * time.Second) // the node's calls end before the test
	})
}

// TestCall_ARefusalAfterATryThatMayHaveWorkedIsNotCertain: the conflict may be with what the first try has done.
func TestCall_ARefusalAfterATryThatMayHaveWorkedIsNotCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		var answers []string
		serve(t, n, "a:1", &scripted{call: func(string, any) (any, error) {
			code := answers[0]
			answers = answers[1:]
			return nil, refusal(connect.CodeUnavailable, &apiv1.ErrorInfo{Code: code})
		}})
		c := dial(t, n, "a:1")
		for _, x := range []struct {
			answers []string
			kind    error
			unknown bool
		}{
			{[]string{"OUTCOME_UNKNOWN", "CONFLICT"}, sdk.ErrConflict, true},
			{[]string{"NO_LEADER", "CONFLICT"}, sdk.ErrConflict, false},
			{[]string{"OUTCOME_UNKNOWN", "INVALID"}, sdk.ErrInvalid, false},
		} {
			answers = x.answers
			err := c.Call(t.Context(), func(ctx context.Context, api apiv1connect.FanfoldClient) error {
				_, err := api.RetryJob(ctx, connect.NewRequest(&apiv1.RetryJobRequest{}))
				return err
			})
			if !errors.Is(err, x.kind) || errors.Is(err, sdk.ErrOutcomeUnknown) != x.unknown {
				t.Errorf("%v: error %v", x.answers, err)
			}
		}
	})
}

func TestList_GoesThroughPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		serve(t, n, "a:1", &scripted{call: func(_ string, m any) (any, error) {
			switch r := m.(*apiv1.ListJobsRequest); r.PageToken {
			case "":
				return &apiv1.ListJobsResponse{Jobs: []*apiv1.JobStatus{{Id: "c"}, {Id: "b"}}, NextPageToken: "2"}, nil
			default:
				return &apiv1.ListJobsResponse{Jobs: []*apiv1.JobStatus{{Id: "a"}}}, nil
			}
		}})
		got := ""
		for job, err := range dial(t, n, "a:1").List(t.Context(), sdk.JobFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			got += job.Id
		}
		if got != "cba" {
			t.Errorf("got %q", got)
		}
	})
}

func TestNewClient_ReportsAllMistakes(t *testing.T) {
	_, err := sdk.NewClient(sdk.ClientConfig{Addresses: []string{"x", "http://a:1/path", "ok:1"}, Namespace: "a b"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error %v", err)
	}
}
