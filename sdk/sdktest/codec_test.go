package sdktest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

type patient struct{ Name, Diagnosis string }

// ward uses all that the engine does with values: lists, chunks, folds, objects, settled errors.
var (
	admit = sdk.NewTask("admit", func(_ context.Context, n int) ([]patient, error) {
		var all []patient
		for i := range n {
			all = append(all, patient{fmt.Sprint("SECRET name ", i), "SECRET flu"})
		}
		return all, nil
	})
	cure = sdk.NewTask("cure", func(ctx context.Context, p patient) (string, error) {
		if err := sdk.Save(ctx, p); err != nil {
			return "", err
		}
		var back patient
		if has, err := sdk.Saved(ctx, &back); err != nil || !has || back != p {
			return "", fmt.Errorf("saved %v, %v, %v", back, has, err)
		}
		once, err := sdk.Once(ctx, "recheck", func(context.Context) (patient, error) { return p, nil })
		if strings.HasSuffix(p.Name, "3") && err == nil {
			err = sdk.Permanent(errors.New("incurable"))
		}
		return once.Name + " cured", err
	}, sdk.NoRetry())
	report = sdk.NewTask("report", func(_ context.Context, in wardIn) (string, error) {
		return fmt.Sprintf("%d results, %d pairs, %s SECRET", len(in.All), len(in.Pairs), in.Joined), nil
	})
	pair  = sdk.NewTask("pair", func(_ context.Context, ps []patient) ([]patient, error) { return ps, nil })
	names = sdk.NewTask("names", func(_ context.Context, p patient) (string, error) { return p.Name[len(p.Name)-1:], nil })
	join  = sdk.NewTask("join", func(_ context.Context, all []string) (string, error) { return strings.Join(all, ""), nil })
)

type wardIn = struct {
	All    []sdk.Settled[string] `json:"all"`
	Pairs  [][]patient           `json:"pairs"`
	Joined string                `json:"joined"`
}

var ward = sdk.NewWorkflow("ward", func(n sdk.Ref[int]) sdk.Ref[string] {
	patients := sdk.Then(n, admit)
	all := sdk.EachSettled(patients, cure)
	pairs := sdk.Each(sdk.Chunk(patients, 2), pair)
	joined := sdk.Fold(sdk.Each(sdk.Flatten(pairs), names), join, sdk.FanIn(2))
	return sdk.Then(sdk.Join(
		sdk.Into(all, func(in *wardIn) *[]sdk.Settled[string] { return &in.All }),
		sdk.Into(pairs, func(in *wardIn) *[][]patient { return &in.Pairs }),
		sdk.Into(joined, func(in *wardIn) *string { return &in.Joined }),
	), report)
})

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func codec(t testing.TB, active string, ids ...string) sdk.Codec {
	t.Helper()
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[id] = key(id[0])
	}
	c, err := sdk.NewAESGCM(active, keys)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const cured = "8 results, 4 pairs, 01234567 SECRET"

// TestCodec_AWorkflowOverEncodedValues: everything that the engine does with values works on encoded ones,
// and nothing readable is stored.
func TestCodec_AWorkflowOverEncodedValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		raw := c.NewClient("raw")
		c.ConfigureClients(func(cfg *sdk.ClientConfig) { cfg.Codec = codec(t, "1", "1") })
		c.StartWorker(sdk.WorkerConfig{}, ward)
		id := sdk.NewJobID()
		job, err := ward.Submit(t.Context(), c.Client(), 8, sdk.JobID(id))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.Await(t.Context()); err != nil || got != cured {
			t.Errorf("got %q, %v", got, err)
		}
		if again, err := ward.Submit(t.Context(), c.Client(), 8, sdk.JobID(id)); err != nil || !again.Existing() {
			t.Errorf("the same submission again: %v", err)
		}
		status, err := job.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for _, s := range status.Steps {
			before := all.Len()
			if err := raw.ReadStepResult(t.Context(), id, s.Name, &all); err != nil {
				t.Error(err)
			}
			if !bytes.Contains(all.Bytes()[before:], []byte(`"$encoded"`)) {
				t.Errorf("the result of %s is not encoded: %s", s.Name, all.Bytes()[before:])
			}
		}
		if err := raw.ReadInput(t.Context(), id, &all); err != nil {
			t.Error(err)
		}
		if bytes.Contains(all.Bytes(), []byte("SECRET")) {
			t.Errorf("stored in the clear: %s", all.Bytes())
		}
		var plain bytes.Buffer
		if err := c.Client().ReadStepResult(t.Context(), id, "admit", &plain); err != nil || !strings.Contains(plain.String(), "SECRET name 3") {
			t.Errorf("read by a client with the key: %s, %v", plain.Bytes(), err)
		}
		if _, err := ward.Attach(raw, id).Await(t.Context()); !errors.Is(err, sdk.ErrSealed) {
			t.Errorf("await without the key: %v", err)
		}
	})
}

// TestCodec_KeysRotate: submitter and worker with another active key understand each other as long as both
// have both; a worker without the key fails the attempt and says so.
func TestCodec_KeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		var mu sync.Mutex
		now := codec(t, "1", "1", "2")
		c.ConfigureClients(func(cfg *sdk.ClientConfig) { mu.Lock(); defer mu.Unlock(); cfg.Codec = now })
		use := func(next sdk.Codec) { mu.Lock(); defer mu.Unlock(); now = next }
		submitter := c.NewClient("submitter")
		use(codec(t, "2", "2", "1"))
		w := c.StartWorker(sdk.WorkerConfig{}, ward)
		job, err := ward.Submit(t.Context(), submitter, 8)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.Await(t.Context()); err != nil || got != cured {
			t.Errorf("got %q, %v", got, err)
		}
		w.Stop()
		use(codec(t, "3", "3"))
		c.StartWorker(sdk.WorkerConfig{}, cure)
		once, err := cure.Submit(t.Context(), submitter, patient{"SECRET", "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = once.Await(t.Context()); !errors.Is(err, sdk.ErrJobFailed) || !strings.Contains(err.Error(), `key "1"`) {
			t.Errorf("a worker without the key: %v", err)
		}
	})
}

// TestInterceptors_SeeSubmissionsAndAttempts: headers that a submitter's interceptor adds are in the
// handler's Info, interceptors nest in their order, and change values.
func TestInterceptors_SeeSubmissionsAndAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		var mu sync.Mutex
		calls := map[string]int{}
		c.ConfigureClients(func(cfg *sdk.ClientConfig) {
			cfg.OnSubmit = []sdk.SubmitInterceptor{func(_ context.Context, s *sdk.Submission) error {
				if string(s.Job.Input) == "13" {
					return errors.New("unlucky")
				}
				s.Header("trace", "t-"+string(s.Job.Input))
				return nil
			}}
			cfg.Interceptors = []connect.Interceptor{connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
				return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
					mu.Lock()
					calls[r.Spec().Procedure]++
					mu.Unlock()
					return next(ctx, r)
				}
			})}
		})
		around := func(name string) sdk.Interceptor {
			return func(ctx context.Context, input []byte, next sdk.Handler) ([]byte, error) {
				out, err := next(ctx, []byte(fmt.Sprintf(`"%s(%s"`, name, bytes.Trim(input, `"`))))
				return []byte(fmt.Sprintf(`"%s)%s"`, bytes.Trim(out, `"`), name)), err
			}
		}
		task := sdk.NewTask("t", func(ctx context.Context, in json.RawMessage) (string, error) {
			return strings.Trim(string(in), `"`) + " " + fmt.Sprint(sdk.Headers(ctx)), nil
		})
		c.StartWorker(sdk.WorkerConfig{Interceptors: []sdk.Interceptor{around("a"), around("b")}}, task)
		job, err := task.Submit(t.Context(), c.Client(), json.RawMessage("7"), sdk.Header("tenant", "x"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.Await(t.Context()); err != nil || got != "b(a(7 map[tenant:x trace:t-7])b)a" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := task.Submit(t.Context(), c.Client(), json.RawMessage("13")); err == nil || !strings.Contains(err.Error(), "unlucky") {
			t.Errorf("a refused submission: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if got := slices.Sorted(maps.Keys(calls)); len(got) == 0 || calls["/fanfold.v1.Fanfold/SubmitJobs"] != 1 {
			t.Errorf("calls %v", calls)
		}
	})
}

// BenchmarkCodec shows what encryption costs a value of 1 KiB.
func BenchmarkCodec(b *testing.B) {
	c := codec(b, "1", "1")
	doc := []byte(`"` + strings.Repeat("x", 1022) + `"`)
	for b.Loop() {
		e, err := c.Encode(doc, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Decode(e); err != nil {
			b.Fatal(err)
		}
	}
}
