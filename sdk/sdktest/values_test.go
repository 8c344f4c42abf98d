package sdktest_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestRun_LargeValues takes values over the inline limit through every place where a value can be: the job's
// input, a step's result and input, an item of a map, a fold's leaves, the job's result.
func TestRun_LargeValues(t *testing.T) {
	const size = 300 << 10
	pieces := sdk.NewTask("pieces", func(_ context.Context, s string) ([]string, error) {
		return []string{s, strings.ToUpper(s), s[:1]}, nil
	})
	wrap := sdk.NewTask("wrap", func(_ context.Context, s string) (string, error) { return "<" + s + ">", nil })
	glue := sdk.NewTask("glue", func(_ context.Context, parts []string) (string, error) { return strings.Join(parts, ""), nil })
	w := sdk.NewWorkflow("large", func(s sdk.Ref[string]) sdk.Ref[string] {
		return sdk.Fold(sdk.Each(sdk.Then(s, pieces), wrap), glue, sdk.FanIn(2))
	})
	in := strings.Repeat("é", size/2)
	want := "<" + in + "><" + strings.ToUpper(in) + "><" + in[:1] + ">"
	want = strings.ToValidUTF8(want, "\uFFFD") // what JSON makes of half a letter
	if got := sdktest.Run(t, w, in); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

// TestRun_LargeListOfResults reads the list of a map's results, which is larger than any of them.
func TestRun_LargeListOfResults(t *testing.T) {
	wide := sdk.NewTask("wide", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", 300+n%7), nil })
	w := sdk.NewWorkflow("many", func(n sdk.Ref[int]) sdk.Ref[[]string] { return sdk.Each(sdk.Then(n, split), wide) })
	const n = 1000
	got := sdktest.Run(t, w, n)
	if len(got) != n || len(got[0]) != 301 || len(got[n-1]) != 306 {
		t.Errorf("got %d items", len(got))
	}
}

func TestWorker_OtherTypesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx := t.Context()
		if _, err := sdk.Declare[int, int]("typed").Submit(ctx, c.Client(), 1); err != nil {
			t.Fatal(err)
		}
		other := sdk.NewTask("typed", func(context.Context, string) (int, error) { return 0, nil })
		w := sdk.NewWorker(c.Client(), sdk.WorkerConfig{})
		w.Register(other)
		if err := w.Run(ctx); !errors.Is(err, sdk.ErrTypeMismatch) || !strings.Contains(err.Error(), "typed.v2") {
			t.Errorf("worker: %v", err)
		}
		if _, err := other.Submit(ctx, c.Client(), "x"); !errors.Is(err, sdk.ErrTypeMismatch) {
			t.Errorf("submit: %v", err)
		}
	})
}

// TestClient_BadInputIsRefused goes through what a program can do wrong, and expects a sentence for each.
func TestClient_BadInputIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx, client := t.Context(), c.Client()
		id := sdk.NewJobID()
		if _, err := square.Submit(ctx, client, 1, sdk.JobID(id)); err != nil {
			t.Fatal(err)
		}
		raw := func(graph, input string) error {
			_, _, err := client.SubmitRaw(ctx, sdk.RawJob{Graph: []byte(graph), Input: []byte(input)})
			return err
		}
		good := `{"v":1,"name":"g","steps":[{"name":"a","kind":"task","task":"t","input":{"op":"input"}}],"output":{"op":"step","step":"a"}}`
		cyclic := `{"v":1,"name":"g","steps":[{"name":"a","kind":"task","task":"t","input":{"op":"step","step":"b"}},` +
			`{"name":"b","kind":"task","task":"t","input":{"op":"step","step":"a"}}],"output":{"op":"step","step":"b"}}`
		_, statusErr := client.Status(ctx, sdk.NewJobID())
		_, awaitErr := client.AwaitRaw(ctx, sdk.NewJobID())
		_, conflict := square.Submit(ctx, client, 2, sdk.JobID(id))
		_, large := sdk.Declare[string, int]("big").Submit(ctx, client, strings.Repeat("x", 64<<20))
		_, notUTF8 := square.Submit(ctx, client, 2, sdk.JobKey("\xff"))
		_, awaitNotUTF8 := client.AwaitRaw(ctx, "\xff")
		_, batch := sdk.SubmitBatch(ctx, client, square, []int{1, 2}, sdk.JobID(sdk.NewJobID()))
		for name, check := range map[string]struct{ got, want error }{
			"cyclic graph":      {raw(cyclic, "1"), sdk.ErrInvalid},
			"no graph":          {raw("", "1"), sdk.ErrInvalid},
			"broken input":      {raw(good, "{"), sdk.ErrInvalid},
			"unknown job":       {statusErr, sdk.ErrNotFound},
			"await unknown job": {awaitErr, sdk.ErrNotFound},
			"cancel unknown":    {client.Cancel(ctx, sdk.NewJobID(), ""), sdk.ErrNotFound},
			"key not UTF-8":     {notUTF8, sdk.ErrInvalid},
			"await not UTF-8":   {awaitNotUTF8, sdk.ErrInvalid},
			"reason not UTF-8":  {client.Cancel(ctx, id, "\xff"), sdk.ErrInvalid},
			"malformed id":      {client.Cancel(ctx, "x", ""), sdk.ErrInvalid},
			"id with new input": {conflict, sdk.ErrConflict},
			"over the limit":    {large, sdk.ErrTooLarge},
			"one id for two":    {batch, sdk.ErrInvalid},
			"retry of running":  {client.Retry(ctx, id), sdk.ErrNotEnded},
			"purge of running":  {client.Purge(ctx, id), sdk.ErrNotEnded},
			"result of running": {client.ReadResult(ctx, id, new(bytes.Buffer)), sdk.ErrNotEnded},
		} {
			if !errors.Is(check.got, check.want) {
				t.Errorf("%s: got %v, want %v", name, check.got, check.want)
			}
		}
		counters, err := c.Counters(ctx)
		if err != nil || counters.JobsSubmitted != 1 {
			t.Errorf("counters %v, %v", counters, err)
		}
	})
}

func TestClient_WatchSurvivesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		c.StartWorker(sdk.WorkerConfig{}, slowSquares)
		job, err := slowSquares.Submit(t.Context(), c.Client(), 50)
		if err != nil {
			t.Fatal(err)
		}
		killed, last := false, ""
		for status, err := range job.Watch(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			last = status.State
			if done := status.Steps[1].Succeeded; done > 0 && !killed {
				c.KillLeader()
				killed = true
			}
		}
		if last != "SUCCESS" || !killed {
			t.Errorf("last state %s, killed %v", last, killed)
		}
	})
}
