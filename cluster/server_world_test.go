package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// serverWorld is one real machine and engine behind two API servers on loopback: the leader's and a
// follower's that knows the leader. The follower shares the leader's machine: replication is not what
// these tests are about.
type serverWorld struct {
	t        testing.TB
	m        *fsm.Machine
	leader   *testHost
	follower *testHost
	client   apiv1connect.FanfoldClient // of the leader
	other    apiv1connect.FanfoldClient // of the follower
	endTerm  func()
}

// testHost is the node that a server answers for.
type testHost struct {
	id     string
	m      *fsm.Machine
	eng    atomic.Pointer[engine.Engine]
	leader atomic.Pointer[string] // API address
	url    string

	mu     sync.Mutex
	hashes map[uint64]string
	hashed chan struct{}
	calls  []string
	err    error // of membership calls
}

var _ host = (*testHost)(nil)

func (h *testHost) Machine() *fsm.Machine { return h.m }

func (h *testHost) Leading() (*engine.Engine, bool) { e := h.eng.Load(); return e, e != nil }

func (h *testHost) LeaderAPI() (string, bool) {
	a := h.leader.Load()
	if a == nil {
		return "", false
	}
	return *a, true
}

func (h *testHost) ClusterID() string { return "c1" }

func (h *testHost) Status() Status {
	leader := ""
	if address := h.leader.Load(); address != nil {
		leader = "another"
		if strings.HasSuffix(h.url, *address) {
			leader = h.id
		}
	}
	return Status{ClusterID: "c1", NodeID: h.id, LeaderID: leader, Term: 7, Nodes: []NodeStatus{{ID: "n1", Voter: true, Leader: true}}}
}

func (h *testHost) call(format string, args ...any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, fmt.Sprintf(format, args...))
	return h.err
}

func (h *testHost) AddNode(_ context.Context, id, raft, api, cluster string) (string, error) {
	return "c1", h.call("add %s %s %s %s", id, raft, api, cluster)
}

func (h *testHost) RemoveNode(_ context.Context, id string) error { return h.call("remove %s", id) }

func (h *testHost) TransferLeadership(_ context.Context, to string) error {
	return h.call("transfer %s", to)
}

func (h *testHost) NodeHash(ctx context.Context, index uint64) (string, bool) {
	for {
		h.mu.Lock()
		hash, ok := h.hashes[index]
		hashed := h.hashed
		h.mu.Unlock()
		if ok {
			return hash, true
		}
		select {
		case <-hashed:
		case <-ctx.Done():
			return "", false
		}
	}
}

func (h *testHost) onHash(r fsm.HashResult) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hashes[r.Index] = r.Hash
	close(h.hashed)
	h.hashed = make(chan struct{})
}

func newServerWorld(t testing.TB) *serverWorld {
	t.Helper()
	leader := &testHost{id: "n1", hashes: map[uint64]string{}, hashed: make(chan struct{})}
	_, bench := t.(*testing.B)
	m, err := fsm.Open(vfs.NewMem(), "state", fsm.Options{Logger: slog.New(slog.DiscardHandler), DisableWAL: true,
		CheckInvariants: !bench, OnHash: leader.onHash})
	if err != nil {
		t.Fatal(err)
	}
	leader.m = m
	follower := &testHost{id: "n2", m: m, hashes: leader.hashes, hashed: make(chan struct{})}
	w := &serverWorld{t: t, m: m, leader: leader, follower: follower}
	w.lead()
	w.client = w.serve(leader)
	w.other = w.serve(follower)
	address := strings.TrimPrefix(leader.url, "http://")
	follower.leader.Store(&address)
	leader.leader.Store(&address)
	return w
}

// lead runs a log and an engine until the test or the term ends.
func (w *serverWorld) lead() {
	log := engine.NewLocalLog(w.m)
	eng, err := engine.New(engine.Config{Log: log, Machine: w.m})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	term, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = log.Run(ctx) })
	run := make(chan error, 1)
	go func() { run <- eng.Run(term) }()
	w.leader.eng.Store(eng)
	w.endTerm = sync.OnceFunc(func() {
		end()
		if err := <-run; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	w.t.Cleanup(func() { // after the servers have closed
		w.endTerm()
		cancel()
		running.Wait()
		if err := w.m.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *serverWorld) serve(h *testHost) apiv1connect.FanfoldClient {
	srv := httptest.NewUnstartedServer(newServer(h, serverConfig{}))
	srv.Config.Protocols = unencryptedHTTP2()
	srv.Config.Protocols.SetHTTP1(true)
	srv.Start()
	h.url = srv.URL
	client := &http.Client{Transport: &http.Transport{Protocols: unencryptedHTTP2()}}
	w.t.Cleanup(func() {
		client.CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	return apiv1connect.NewFanfoldClient(client, srv.URL)
}

func testGraph(t testing.TB, task string) []byte {
	t.Helper()
	b := dag.NewBuilder("flow")
	b.Output(b.Task("only", dag.Step{Task: task, Input: dag.Input()}))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return dag.Encode(g)
}

func (w *serverWorld) submit(client apiv1connect.FanfoldClient, input string) string {
	w.t.Helper()
	res, err := client.SubmitJobs(w.t.Context(), connect.NewRequest(&apiv1.SubmitJobsRequest{Jobs: []*apiv1.Job{
		{Id: ulid.Make().String(), Graph: testGraph(w.t, "a"), Input: &apiv1.Value{Inline: []byte(input)}}}}))
	if err != nil {
		w.t.Fatal(err)
	}
	if e := res.Msg.GetResults()[0].GetError(); e != nil {
		w.t.Fatalf("refused: %v", e)
	}
	return res.Msg.GetResults()[0].GetId()
}

// testWorker is the client's side of a Work stream.
type testWorker struct {
	t      testing.TB
	stream *connect.BidiStreamForClient[apiv1.WorkRequest, apiv1.WorkResponse]

	// Received and not asked for yet.
	assignments []*apiv1.Assignment
	acks        []*apiv1.Ack
}

func (w *serverWorld) work(hello *apiv1.Hello) (*testWorker, *apiv1.Welcome) {
	w.t.Helper()
	worker := &testWorker{t: w.t, stream: w.client.Work(w.t.Context())}
	worker.send(&apiv1.WorkRequest{Hello: hello})
	return worker, worker.receive().GetWelcome()
}

func testHello(slots uint32) *apiv1.Hello {
	return &apiv1.Hello{Worker: "w", TtlMs: 60_000, Queues: []*apiv1.QueueSlots{{Queue: "default", Slots: slots}}, Kinds: []*apiv1.TaskKind{{Name: "a"}}}
}

func (w *testWorker) send(msg *apiv1.WorkRequest) {
	w.t.Helper()
	if err := w.stream.Send(msg); err != nil {
		w.t.Fatalf("send: %v", err)
	}
}

func (w *testWorker) receive() *apiv1.WorkResponse {
	w.t.Helper()
	msg, err := w.stream.Receive()
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return msg
}

// assignment waits for the next assignment. A message may bring several, and acknowledgements too:
// what is not asked for yet is kept.
func (w *testWorker) assignment() *apiv1.Assignment {
	w.t.Helper()
	for len(w.assignments) == 0 {
		w.keep(w.receive())
	}
	a := w.assignments[0]
	w.assignments = w.assignments[1:]
	return a
}

// ack waits for the next acknowledgement.
func (w *testWorker) ack() *apiv1.Ack {
	w.t.Helper()
	for len(w.acks) == 0 {
		w.keep(w.receive())
	}
	a := w.acks[0]
	w.acks = w.acks[1:]
	return a
}

func (w *testWorker) keep(msg *apiv1.WorkResponse) {
	w.assignments = append(w.assignments, msg.GetAssignments()...)
	w.acks = append(w.acks, msg.GetAcks()...)
}

func result(a *apiv1.Assignment, doc string) *apiv1.WorkRequest {
	return &apiv1.WorkRequest{Reports: []*apiv1.Report{{Fence: a.GetFence(), Task: a.GetTask(),
		Outcome: &apiv1.Report_Result{Result: &apiv1.Value{Inline: []byte(doc)}}}}}
}

// wantCode checks the stable code of an error, and returns its detail.
func wantCode(t testing.TB, err error, code string) *apiv1.ErrorInfo {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) {
		t.Fatalf("got error %v, want %s", err, code)
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*apiv1.ErrorInfo); ok {
				if info.GetCode() != code || ce.Code() != wireCodes[code] || info.GetMessage() == "" {
					t.Fatalf("got %v (%v), want %s", info, ce.Code(), code)
				}
				return info
			}
		}
	}
	t.Fatalf("error %v has no detail, want %s", err, code)
	return nil
}
