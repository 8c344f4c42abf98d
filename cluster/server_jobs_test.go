package cluster

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func TestServer_JobRunsFromSubmitToResult(t *testing.T) {
	w := newServerWorld(t)
	worker, welcome := w.work(testHello(2))
	if welcome.GetSession() == 0 || welcome.GetResumed() || welcome.GetTtlMs() != 60_000 || welcome.GetHeartbeatMs() != 20_000 {
		t.Fatalf("welcome %v", welcome)
	}
	id := w.submit(w.client, `{"n":1}`)
	a := worker.assignment()
	if a.GetJob() != id || a.GetKind() != "a" || a.GetStep() != "only" || a.GetWorkflow() != "flow" || a.GetAttempt() != 1 ||
		string(a.GetInput()) != `{"n":1}` || a.GetQueue() != "default" {
		t.Fatalf("assignment %v", a)
	}
	worker.send(result(a, `[42]`))
	if ack := worker.ack(); !ack.GetAccepted() || ack.GetFence().GetIndex() != a.GetFence().GetIndex() {
		t.Fatalf("ack %v", ack)
	}
	worker.send(result(a, `[42]`)) // the reply was lost, it may be thought
	if ack := worker.ack(); !ack.GetAccepted() {
		t.Fatalf("the same result again: %v", ack)
	}
	worker.send(result(a, `[43]`))
	if ack := worker.ack(); ack.GetAccepted() || ack.GetCode() != "STALE" {
		t.Fatalf("another result: %v", ack)
	}
	res, err := w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id, WaitMs: 60_000, WithResult: true}))
	if err != nil {
		t.Fatal(err)
	}
	if res.Msg.GetJob().GetState() != "SUCCESS" || string(res.Msg.GetResult().GetResult()) != `[42]` || res.Msg.GetIndex() == 0 {
		t.Fatalf("job %v", res.Msg)
	}
}

func TestSubmitJobs_BadJobsAreRefusedOneByOne(t *testing.T) {
	w := newServerWorld(t)
	graph := testGraph(t, "a")
	id := ulid.Make().String()
	big := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), inlineMax)...), '"')
	jobs := []*apiv1.Job{
		{Id: id, Graph: graph, Input: &apiv1.Value{Inline: []byte(`1`)}},
		{Id: "nonsense", Graph: graph},
		{Graph: graph, Input: &apiv1.Value{Inline: []byte(`{`)}},
		{Graph: graph, Input: &apiv1.Value{Inline: big}},
		{Graph: []byte(`{"v":1}`)},
		{},
		{Namespace: "a b", Graph: graph},
		{Graph: graph, Input: &apiv1.Value{Blob: &apiv1.Blob{Id: make([]byte, 16), Size: 300_000, Sha256: make([]byte, 32)}}},
		{Id: id, Graph: graph, Input: &apiv1.Value{Inline: []byte(`1`)}},
		{Id: id, Graph: graph, Input: &apiv1.Value{Inline: []byte(`2`)}},
		{Graph: graph},
		{Graph: graph, RetainMs: math.MaxInt64},
		{Graph: graph, NotBeforeMs: math.MaxInt64},
		{Graph: graph, NotBeforeMs: -1},
	}
	res, err := w.client.SubmitJobs(t.Context(), connect.NewRequest(&apiv1.SubmitJobsRequest{Jobs: jobs}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Msg.GetResults() {
		switch {
		case r.GetError() != nil:
			got = append(got, r.GetError().GetCode())
		case r.GetExisting():
			got = append(got, "existing")
		default:
			got = append(got, "new")
		}
	}
	want := []string{"new", "INVALID", "INVALID", "TOO_LARGE", "INVALID", "INVALID", "INVALID", "NOT_FOUND", "existing", "CONFLICT", "new", "INVALID", "INVALID", "INVALID"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	if res.Msg.GetIndex() == 0 || res.Msg.GetResults()[0].GetId() != id || len(res.Msg.GetResults()[10].GetId()) != 26 {
		t.Fatalf("%v", res.Msg)
	}
}

func TestSubmitJobs_ThatAreTooManyAreRefusedWhole(t *testing.T) {
	w := newServerWorld(t)
	_, err := w.client.SubmitJobs(t.Context(), connect.NewRequest(&apiv1.SubmitJobsRequest{Jobs: make([]*apiv1.Job, submitJobsMax+1)}))
	wantCode(t, err, "TOO_LARGE")
}

func TestGetJob_UnknownIdIsAnError(t *testing.T) {
	w := newServerWorld(t)
	_, err := w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: ulid.Make().String(), WaitMs: 60_000}))
	wantCode(t, err, "NOT_FOUND")
	_, err = w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: "x"}))
	wantCode(t, err, "INVALID")
}

func TestJobs_OfAnotherNamespaceAreNotFound(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.client, `1`)
	_, err := w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id, Namespace: "other"}))
	wantCode(t, err, "NOT_FOUND")
	_, err = w.client.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: id, Namespace: "other"}))
	wantCode(t, err, "NOT_FOUND")
	_, err = w.client.ListTasks(t.Context(), connect.NewRequest(&apiv1.ListTasksRequest{Id: id, Namespace: "other"}))
	wantCode(t, err, "NOT_FOUND")
	err = receiveAll(w.client.ReadValue(t.Context(), connect.NewRequest(&apiv1.ReadValueRequest{Id: id, Namespace: "other",
		What: &apiv1.ReadValueRequest_Input{Input: true}})))
	wantCode(t, err, "NOT_FOUND")
}

func receiveAll(stream *connect.ServerStreamForClient[apiv1.ReadValueResponse], err error) error {
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		continue
	}
	return stream.Err()
}

func TestJobs_CancelRetryPurge(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.client, `1`)
	_, err := w.client.PurgeJob(t.Context(), connect.NewRequest(&apiv1.PurgeJobRequest{Id: id}))
	wantCode(t, err, "NOT_ENDED")
	_, err = w.client.RetryJob(t.Context(), connect.NewRequest(&apiv1.RetryJobRequest{Id: id}))
	wantCode(t, err, "NOT_ENDED")
	for range 2 {
		res, err := w.client.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: id, Reason: "why not"}))
		if err != nil || res.Msg.GetState() != "CANCELED" {
			t.Fatalf("cancel: %v, %v", res, err)
		}
	}
	got, err := w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id, WithResult: true}))
	if err != nil || got.Msg.GetJob().GetCancelReason() != "why not" || got.Msg.GetResult().GetError().GetMessage() != "why not" {
		t.Fatalf("canceled job: %v, %v", got, err)
	}
	again, err := w.client.RetryJob(t.Context(), connect.NewRequest(&apiv1.RetryJobRequest{Id: id}))
	if err != nil || again.Msg.GetState() != "RUNNING" {
		t.Fatalf("retry: %v, %v", again, err)
	}
	if _, err := w.client.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: id})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.PurgeJob(t.Context(), connect.NewRequest(&apiv1.PurgeJobRequest{Id: id})); err != nil {
		t.Fatal(err)
	}
	_, err = w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id}))
	wantCode(t, err, "NOT_FOUND")
}

func TestListJobs_PagesAreWholeAndNewestFirst(t *testing.T) {
	w := newServerWorld(t)
	var want []string
	for range 5 {
		want = append([]string{w.submit(w.client, `1`)}, want...)
	}
	var got []string
	token := ""
	for page := 0; ; page++ {
		res, err := w.client.ListJobs(t.Context(), connect.NewRequest(&apiv1.ListJobsRequest{PageSize: 2, PageToken: token, State: "RUNNING"}))
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range res.Msg.GetJobs() {
			got = append(got, j.GetId())
		}
		if token = res.Msg.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	for _, bad := range []*apiv1.ListJobsRequest{{State: "DONE"}, {PageSize: pageMax + 1}, {PageToken: "x"}, {Namespace: "\x00"}} {
		_, err := w.client.ListJobs(t.Context(), connect.NewRequest(bad))
		wantCode(t, err, "INVALID")
	}
}

// TestLists_RefuseABadPage: all lists begin alike.
func TestLists_RefuseABadPage(t *testing.T) {
	w := newServerWorld(t)
	ctx, id := t.Context(), w.submit(w.client, `1`)
	batch, err := w.client.CreateBatch(ctx, connect.NewRequest(&apiv1.CreateBatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]func(size uint32, token string) error{
		"tasks": func(size uint32, token string) error {
			_, err := w.client.ListTasks(ctx, connect.NewRequest(&apiv1.ListTasksRequest{Id: id, PageSize: size, PageToken: token}))
			return err
		},
		"attempts": func(size uint32, token string) error {
			_, err := w.client.ListAttempts(ctx, connect.NewRequest(&apiv1.ListAttemptsRequest{Id: id, PageSize: size, PageToken: token}))
			return err
		},
		"dead": func(size uint32, token string) error {
			_, err := w.client.ListDead(ctx, connect.NewRequest(&apiv1.ListDeadRequest{PageSize: size, PageToken: token}))
			return err
		},
		"batches": func(size uint32, token string) error {
			_, err := w.client.ListBatches(ctx, connect.NewRequest(&apiv1.ListBatchesRequest{PageSize: size, PageToken: token}))
			return err
		},
		"batch jobs": func(size uint32, token string) error {
			_, err := w.client.ListBatchJobs(ctx, connect.NewRequest(&apiv1.ListBatchJobsRequest{Id: batch.Msg.GetId(), PageSize: size, PageToken: token}))
			return err
		},
		"deliveries": func(size uint32, token string) error {
			_, err := w.client.ListDeliveries(ctx, connect.NewRequest(&apiv1.ListDeliveriesRequest{Endpoint: "e", PageSize: size, PageToken: token}))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, list(1, "no token"), "INVALID")
			wantCode(t, list(pageMax+1, ""), "INVALID")
		})
	}
}

func TestListTasks_ShowsAndPages(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.client, `1`)
	res, err := w.client.ListTasks(t.Context(), connect.NewRequest(&apiv1.ListTasksRequest{Id: id, State: "PENDING"}))
	if err != nil || len(res.Msg.GetTasks()) != 1 || res.Msg.GetTasks()[0].GetStep() != "only" {
		t.Fatalf("tasks: %v, %v", res, err)
	}
	res, err = w.client.ListTasks(t.Context(), connect.NewRequest(&apiv1.ListTasksRequest{Id: id, PageToken: "0.0"}))
	if err != nil || len(res.Msg.GetTasks()) != 0 {
		t.Fatalf("after the last: %v, %v", res, err)
	}
	_, err = w.client.ListTasks(t.Context(), connect.NewRequest(&apiv1.ListTasksRequest{Id: id, State: "BUSY"}))
	wantCode(t, err, "INVALID")
}

func TestServer_SpeaksJSONOverHTTP1(t *testing.T) {
	w := newServerWorld(t)
	res, err := http.Post(w.leader.url+"/fanfold.v1.Fanfold/ListJobs", "application/json", strings.NewReader(`{"state":"NOPE"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte(`"INVALID"`)) {
		t.Fatalf("%s: %s", res.Status, body)
	}
}

func TestServer_AMessageOverTheLimitIsRefused(t *testing.T) {
	w := newServerWorld(t)
	_, err := w.client.PutChunk(t.Context(), connect.NewRequest(&apiv1.PutChunkRequest{Data: make([]byte, readMax+1)}))
	wantCode(t, err, "TOO_LARGE")
}

func TestJobs_AnUnknownIdIsAnErrorEverywhere(t *testing.T) {
	w := newServerWorld(t)
	id := ulid.Make().String()
	_, err := w.client.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: id}))
	wantCode(t, err, "NOT_FOUND")
	_, err = w.client.RetryJob(t.Context(), connect.NewRequest(&apiv1.RetryJobRequest{Id: id}))
	wantCode(t, err, "NOT_FOUND")
	_, err = w.client.PurgeJob(t.Context(), connect.NewRequest(&apiv1.PurgeJobRequest{Id: id}))
	wantCode(t, err, "NOT_FOUND")
	_, err = w.client.ListTasks(t.Context(), connect.NewRequest(&apiv1.ListTasksRequest{Id: id}))
	wantCode(t, err, "NOT_FOUND")
	watch, err := w.client.WatchJob(t.Context(), connect.NewRequest(&apiv1.WatchJobRequest{Id: id}))
	if err != nil {
		t.Fatal(err)
	}
	for watch.Receive() {
		continue
	}
	wantCode(t, watch.Err(), "NOT_FOUND")
}
