package cluster

import (
	"errors"
	"io"
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func TestWork_AStreamBeginsWithAValidHello(t *testing.T) {
	w := newServerWorld(t)
	bad := map[string]*apiv1.WorkRequest{
		"no hello":  {Heartbeat: true},
		"no queues": {Hello: &apiv1.Hello{Worker: "w", Kinds: []*apiv1.TaskKind{{Name: "a"}}}},
		"no kinds":  {Hello: &apiv1.Hello{Worker: "w", Queues: []*apiv1.QueueSlots{{Queue: "default", Slots: 1}}}},
		"no slots":  {Hello: testHello(0)},
		"short ttl": {Hello: func() *apiv1.Hello { h := testHello(1); h.TtlMs = 10; return h }()},
	}
	for name, msg := range bad {
		t.Run(name, func(t *testing.T) {
			s := w.client.Work(t.Context())
			if err := s.Send(msg); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			_, err := s.Receive()
			wantCode(t, err, "INVALID")
		})
	}
}

func TestWork_HeartbeatsAreAnswered(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	worker.send(&apiv1.WorkRequest{Heartbeat: true})
	if msg := worker.receive(); !msg.GetHeartbeat() {
		t.Fatalf("%v", msg)
	}
}

func TestWork_AResultThatIsNoJSONIsRefusedAndTheLeaseGoesOn(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(2))
	w.submit(w.client, `1`)
	a := worker.assignment()
	worker.send(result(a, `{`))
	if ack := worker.ack(); ack.GetAccepted() || ack.GetCode() != "INVALID" || ack.GetMessage() == "" {
		t.Fatal(ack)
	}
	worker.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{{Fence: a.GetFence(), Task: a.GetTask()}}})
	if ack := worker.ack(); ack.GetCode() != "INVALID" {
		t.Fatal(ack)
	}
	worker.send(result(a, `1`))
	if ack := worker.ack(); !ack.GetAccepted() {
		t.Fatal(ack)
	}
}

func TestWork_FailureAndReleaseGiveTheTaskAgain(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	id := w.submit(w.client, `1`)
	a := worker.assignment()
	worker.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{{Fence: a.GetFence(), Task: a.GetTask(), Outcome: &apiv1.Report_Release{Release: true}}}})
	if a = worker.assignment(); a.GetAttempt() != 1 {
		t.Fatalf("a released attempt was charged: %v", a)
	}
	worker.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{{Fence: a.GetFence(), Task: a.GetTask(),
		Outcome: &apiv1.Report_Failure{Failure: &apiv1.Failure{Error: &apiv1.TaskError{Type: "T", Message: "flat tyre"}, RetryAfterMs: 1}}}}})
	if a = worker.assignment(); a.GetAttempt() != 2 {
		t.Fatalf("attempt %d", a.GetAttempt())
	}
	worker.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{{Fence: a.GetFence(), Task: a.GetTask(),
		Outcome: &apiv1.Report_Failure{Failure: &apiv1.Failure{Error: &apiv1.TaskError{Type: "T", Message: "broken"}, Permanent: true}}}}})
	r := results(t, await(t, w.client, id), 1)[id]
	if r.GetState() != "FAILURE" || r.GetError().GetMessage() != "broken" || r.GetError().GetStep() != "only" {
		t.Fatalf("%v", r)
	}
}

func TestWork_ACanceledJobIsRevoked(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	id := w.submit(w.client, `1`)
	a := worker.assignment()
	if _, err := w.client.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: id})); err != nil {
		t.Fatal(err)
	}
	revokes := worker.receive().GetRevokes()
	if len(revokes) != 1 || revokes[0].GetFence().GetIndex() != a.GetFence().GetIndex() || revokes[0].GetCause() != "JOB_CANCELED" {
		t.Fatalf("%v", revokes)
	}
	worker.send(result(a, `1`))
	if ack := worker.ack(); ack.GetAccepted() || ack.GetCode() != "CANCELED" {
		t.Fatal(ack)
	}
}

func TestWork_ASecondStreamReplacesTheFirstAndGetsWhatItLacks(t *testing.T) {
	w := newServerWorld(t)
	worker, welcome := w.work(testHello(2))
	w.submit(w.client, `1`)
	w.submit(w.client, `2`)
	held, lost := worker.assignment(), worker.assignment()
	hello := testHello(2)
	hello.Session = welcome.GetSession()
	hello.Held = []*apiv1.Fence{held.GetFence(), {Index: 1, Pos: 99}}
	second, again := w.work(hello)
	if !again.GetResumed() || again.GetSession() != welcome.GetSession() || len(again.GetDrop()) != 1 || again.GetDrop()[0].GetPos() != 99 {
		t.Fatalf("%v", again)
	}
	if a := second.assignment(); a.GetFence().GetPos() != lost.GetFence().GetPos() || a.GetFence().GetIndex() != lost.GetFence().GetIndex() {
		t.Fatalf("%v, want %v", a, lost)
	}
	_, err := worker.stream.Receive()
	wantCode(t, err, "STALE")
}

func TestWork_GoodbyeHandsBackAndEndsTheStream(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	w.submit(w.client, `1`)
	a := worker.assignment()
	worker.send(&apiv1.WorkRequest{Goodbye: true})
	if err := worker.stream.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.stream.Receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("after goodbye: %v", err)
	}
	second, _ := w.work(testHello(1))
	if b := second.assignment(); b.GetJob() != a.GetJob() || b.GetCrashes() != 0 || b.GetAttempt() != 1 {
		t.Fatalf("%v", b)
	}
}

func TestWork_ADrainingWorkerGetsNothingNew(t *testing.T) {
	w := newServerWorld(t)
	worker, welcome := w.work(testHello(1))
	worker.send(&apiv1.WorkRequest{Drain: true})
	worker.send(&apiv1.WorkRequest{Heartbeat: true})
	if msg := worker.receive(); !msg.GetHeartbeat() { // answered after the drain was committed
		t.Fatalf("%v", msg)
	}
	id := w.submit(w.client, `1`)
	res, err := w.client.ListWorkers(t.Context(), connect.NewRequest(&apiv1.ListWorkersRequest{}))
	if err != nil || len(res.Msg.GetWorkers()) != 1 || !res.Msg.GetWorkers()[0].GetDraining() || res.Msg.GetWorkers()[0].GetSession() != welcome.GetSession() {
		t.Fatalf("%v, %v", res, err)
	}
	got, err := w.client.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id}))
	if err != nil || got.Msg.GetJob().GetSteps()[0].GetState() != "PENDING" {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestWork_ProgressIsShownUntilTheTaskEnds(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	id := w.submit(w.client, `1`)
	a := worker.assignment()
	shown := func() *apiv1.Progress {
		t.Helper()
		worker.send(&apiv1.WorkRequest{Heartbeat: true}) // its answer: everything before it was handled
		for !worker.receive().GetHeartbeat() {
			continue
		}
		res, err := w.other.ListTasks(t.Context(), connect.NewRequest(&apiv1.ListTasksRequest{Id: id}))
		if err != nil {
			t.Fatal(err)
		}
		return res.Msg.GetTasks()[0].GetProgress()
	}
	if p := shown(); p != nil {
		t.Fatalf("%v", p)
	}
	worker.send(&apiv1.WorkRequest{Progress: []*apiv1.Progress{{Fence: a.GetFence(), Done: 3, Total: 9, Note: "chapter 3"}}})
	if p := shown(); p.GetDone() != 3 || p.GetTotal() != 9 || p.GetNote() != "chapter 3" {
		t.Fatalf("%v", p)
	}
	worker.send(result(a, `1`))
	if p := shown(); p != nil {
		t.Fatalf("%v", p)
	}
}

// TestListWorkers_SaysHowSlotsAreShared between the queues of a worker.
func TestListWorkers_SaysHowSlotsAreShared(t *testing.T) {
	w := newServerWorld(t)
	hello := testHello(3)
	hello.Slots, hello.Strict = 8, true
	w.work(hello)
	res, err := w.client.ListWorkers(t.Context(), connect.NewRequest(&apiv1.ListWorkersRequest{}))
	if err != nil || len(res.Msg.GetWorkers()) != 1 {
		t.Fatalf("%v, %v", res, err)
	}
	if got := res.Msg.GetWorkers()[0]; got.GetSlots() != 8 || !got.GetStrict() || got.GetQueues()[0].GetSlots() != 3 {
		t.Fatalf("%v", got)
	}
}
