package cluster

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func await(t *testing.T, client apiv1connect.FanfoldClient, ids ...string) *connect.BidiStreamForClient[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse] {
	t.Helper()
	s := client.AwaitJobs(t.Context())
	if err := s.Send(&apiv1.AwaitJobsRequest{Ids: ids}); err != nil && !errors.Is(err, io.EOF) { // EOF: Receive says why
		t.Fatal(err)
	}
	return s
}

// results reads n results of a stream.
func results(t *testing.T, s *connect.BidiStreamForClient[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse], n int) map[string]*apiv1.JobResult {
	t.Helper()
	all := map[string]*apiv1.JobResult{}
	for len(all) < n {
		msg, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range msg.GetResults() {
			if all[r.GetId()] != nil {
				t.Fatalf("%s was answered twice", r.GetId())
			}
			all[r.GetId()] = r
		}
	}
	return all
}

func TestAwaitJobs_EachIdIsAnsweredOnce(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	before := w.submit(w.client, `1`)
	worker.send(result(worker.assignment(), `"before"`))
	if ack := worker.ack(); !ack.GetAccepted() {
		t.Fatal(ack)
	}
	after, canceled, unknown := w.submit(w.client, `2`), w.submit(w.client, `3`), ulid.Make().String()
	s := await(t, w.client, before, after, canceled, unknown, "rubbish", after)
	first := results(t, s, 3)
	if string(first[before].GetResult()) != `"before"` || first[unknown].GetRefused().GetCode() != "NOT_FOUND" ||
		first["rubbish"].GetRefused().GetCode() != "INVALID" {
		t.Fatalf("%v", first)
	}
	if _, err := w.client.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: canceled, Reason: "no"})); err != nil {
		t.Fatal(err)
	}
	if r := results(t, s, 1)[canceled]; r.GetState() != "CANCELED" || r.GetError().GetMessage() != "no" {
		t.Fatalf("%v", r)
	}
	if err := s.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	worker.send(result(worker.assignment(), `"after"`))
	if r := results(t, s, 1)[after]; r.GetState() != "SUCCESS" || string(r.GetResult()) != `"after"` {
		t.Fatalf("%v", r)
	}
	if _, err := s.Receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last answer: %v", err)
	}
}

// TestAwaitJobs_OfAnotherNamespaceIsRefusedAtOnce: a job that runs needs no read, but for its namespace.
func TestAwaitJobs_OfAnotherNamespaceIsRefusedAtOnce(t *testing.T) {
	w := newServerWorld(t)
	running := w.submit(w.client, `1`)
	s := w.client.AwaitJobs(t.Context())
	if err := s.Send(&apiv1.AwaitJobsRequest{Ids: []string{running}, Namespace: "other"}); err != nil {
		t.Fatal(err)
	}
	if r := results(t, s, 1)[running]; r.GetRefused().GetCode() != "NOT_FOUND" {
		t.Fatalf("%v", r)
	}
}

func TestAwaitJobs_AResultOverTheInlineLimitIsLargeAndReadAsAStream(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	big := bigValue(t, w, 3*inlineMax/2)
	id := w.submit(w.client, `1`)
	a := worker.assignment()
	worker.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{{Fence: a.GetFence(), Task: a.GetTask(),
		Outcome: &apiv1.Report_Result{Result: big.value}}}})
	if ack := worker.ack(); !ack.GetAccepted() {
		t.Fatal(ack)
	}
	s := await(t, w.client, id)
	if r := results(t, s, 1)[id]; !r.GetLarge() || len(r.GetResult()) != 0 || r.GetState() != "SUCCESS" {
		t.Fatalf("state %s, large %v, %d bytes", r.GetState(), r.GetLarge(), len(r.GetResult()))
	}
	for _, what := range []*apiv1.ReadValueRequest{
		{Id: id, What: &apiv1.ReadValueRequest_Result{Result: true}},
		{Id: id, What: &apiv1.ReadValueRequest_Step{Step: "only"}},
		{Id: id, Consistency: apiv1.Consistency_CONSISTENCY_STALE, What: &apiv1.ReadValueRequest_Result{Result: true}},
	} {
		if doc := readValue(t, w.client, what); !bytes.Equal(doc, big.doc) {
			t.Fatalf("%v: %d bytes, want %d", what, len(doc), len(big.doc))
		}
	}
}

func TestWatchJob_SendsTheStateAtOnceAndItsEnd(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	id := w.submit(w.client, `1`)
	a := worker.assignment()
	s, err := w.client.WatchJob(t.Context(), connect.NewRequest(&apiv1.WatchJobRequest{Id: id, IntervalMs: 3_600_000}))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Receive() || s.Msg().GetJob().GetState() != "RUNNING" {
		t.Fatalf("%v, %v", s.Msg(), s.Err())
	}
	worker.send(result(a, `1`))
	if !s.Receive() || s.Msg().GetJob().GetState() != "SUCCESS" { // the end does not wait for the interval
		t.Fatalf("%v, %v", s.Msg(), s.Err())
	}
	if s.Receive() || s.Err() != nil {
		t.Fatalf("after the end: %v, %v", s.Msg(), s.Err())
	}
}

// TestWatchJob_SendsNoStatusTwice touches a job by a line of its log, of which its status says nothing.
func TestWatchJob_SendsNoStatusTwice(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	id := w.submit(w.client, `1`)
	a := worker.assignment()
	s, err := w.client.WatchJob(t.Context(), connect.NewRequest(&apiv1.WatchJobRequest{Id: id, IntervalMs: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Receive() || s.Msg().GetJob().GetState() != "RUNNING" {
		t.Fatalf("%v, %v", s.Msg(), s.Err())
	}
	worker.send(&apiv1.WorkRequest{Logs: []*apiv1.TaskLog{{Fence: a.GetFence(), Task: a.GetTask(), Lines: []*apiv1.LogLine{{Text: "a line"}}}}})
	after := uint64(0)
	for _, lines := range []int{1, 0} { // the second call stays for longer than the watcher's interval
		res, err := w.client.ListLogs(t.Context(), connect.NewRequest(&apiv1.ListLogsRequest{Id: id, After: after, WaitMs: 2 * watchMin.Milliseconds() * int64(2-lines)}))
		if err != nil || lines != len(res.Msg.GetEntries()) {
			t.Fatalf("%v, %v; want %d lines", res, err, lines)
		}
		after = res.Msg.GetNext()
	}
	worker.send(result(a, `1`))
	if !s.Receive() || s.Msg().GetJob().GetState() != "SUCCESS" {
		t.Fatalf("%v, %v", s.Msg(), s.Err())
	}
}

func TestStreams_EndWithTheTermAndNameTheLeader(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.client, `1`)
	worker, _ := w.work(testHello(1))
	worker.assignment()
	s := await(t, w.client, id)
	watch, err := w.client.WatchJob(t.Context(), connect.NewRequest(&apiv1.WatchJobRequest{Id: id}))
	if err != nil {
		t.Fatal(err)
	}
	if !watch.Receive() {
		t.Fatal(watch.Err())
	}
	w.leader.eng.Store(nil)
	elsewhere := "10.0.0.9:7400"
	w.leader.leader.Store(&elsewhere)
	w.endTerm()
	_, err = s.Receive()
	if info := wantCode(t, err, "NOT_LEADER"); info.GetLeader() != elsewhere {
		t.Fatal(info)
	}
	_, err = worker.stream.Receive()
	wantCode(t, err, "NOT_LEADER")
	for watch.Receive() {
		continue
	}
	wantCode(t, watch.Err(), "NOT_LEADER")
}

type bigDoc struct {
	doc   []byte
	value *apiv1.Value
}
