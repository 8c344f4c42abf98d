package sdk_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// A real node does not lose an answer when a test wants it to. So what the client and the worker do about
// lost answers, wrong nodes and silence is tested against a node that follows a script. What they do
// together with the real one is tested in sdktest.

// scripted is one node. A test fills in the calls that it expects; others are unimplemented.
type scripted struct {
	apiv1connect.UnimplementedFanfoldHandler
	leader string
	submit func(ctx context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error)
	await  func(ctx context.Context, s *awaitStream) error
	work   func(ctx context.Context, s *workStream) error
	call   func(method string, msg any) (any, error)

	mu    sync.Mutex
	blobs map[string][]byte
}

type (
	awaitStream = connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse]
	workStream  = connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]
)

func (s *scripted) ClusterStatus(context.Context, *connect.Request[apiv1.ClusterStatusRequest]) (*connect.Response[apiv1.ClusterStatusResponse], error) {
	return connect.NewResponse(&apiv1.ClusterStatusResponse{LeaderAddress: s.leader}), nil
}

func (s *scripted) SubmitJobs(ctx context.Context, r *connect.Request[apiv1.SubmitJobsRequest]) (*connect.Response[apiv1.SubmitJobsResponse], error) {
	results, err := s.submit(ctx, r.Msg.Jobs)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&apiv1.SubmitJobsResponse{Results: results}), nil
}

func (s *scripted) AwaitJobs(ctx context.Context, stream *awaitStream) error {
	return s.await(ctx, stream)
}

func (s *scripted) Work(ctx context.Context, stream *workStream) error { return s.work(ctx, stream) }

func (s *scripted) RetryJob(_ context.Context, r *connect.Request[apiv1.RetryJobRequest]) (*connect.Response[apiv1.RetryJobResponse], error) {
	return answer[apiv1.RetryJobResponse](s.call("RetryJob", r.Msg))
}

func (s *scripted) CancelJob(_ context.Context, r *connect.Request[apiv1.CancelJobRequest]) (*connect.Response[apiv1.CancelJobResponse], error) {
	return answer[apiv1.CancelJobResponse](s.call("CancelJob", r.Msg))
}

func (s *scripted) ListJobs(_ context.Context, r *connect.Request[apiv1.ListJobsRequest]) (*connect.Response[apiv1.ListJobsResponse], error) {
	return answer[apiv1.ListJobsResponse](s.call("ListJobs", r.Msg))
}

func answer[T any](msg any, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(msg.(*T)), nil
}

func (s *scripted) PutChunk(_ context.Context, r *connect.Request[apiv1.PutChunkRequest]) (*connect.Response[apiv1.PutChunkResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs == nil {
		s.blobs = map[string][]byte{}
	}
	s.blobs[string(r.Msg.Blob)] = append(s.blobs[string(r.Msg.Blob)], r.Msg.Data...)
	return connect.NewResponse(&apiv1.PutChunkResponse{}), nil
}

// ReadValue streams "0123456789" byte by byte, and breaks off once, after four.
func (s *scripted) ReadValue(_ context.Context, r *connect.Request[apiv1.ReadValueRequest], stream *connect.ServerStream[apiv1.ReadValueResponse]) error {
	for i := range 10 {
		if _, err := s.call("ReadValue", i); err != nil {
			return err
		}
		if err := stream.Send(&apiv1.ReadValueResponse{Data: []byte{byte('0' + i)}}); err != nil {
			return err
		}
	}
	return nil
}

// refusal is an error as the server answers it.
func refusal(code connect.Code, info *apiv1.ErrorInfo) error {
	err := connect.NewError(code, nil)
	if d, e := connect.NewErrorDetail(info); e == nil {
		err.AddDetail(d)
	}
	return err
}

func notLeader(leader string) error {
	return refusal(connect.CodeFailedPrecondition, &apiv1.ErrorInfo{Code: "NOT_LEADER", Leader: leader})
}

// serve starts a node at an address of the network, until the test ends or stop is called.
func serve(t *testing.T, n *pipenet.Network, address string, s *scripted) (stop func()) {
	t.Helper()
	return serveSeen(t, n, address, s, func(*http.Request) {})
}

// serveSeen is serve, and seen is told each request before it is answered.
func serveSeen(t *testing.T, n *pipenet.Network, address string, s *scripted, seen func(*http.Request)) (stop func()) {
	t.Helper()
	l, err := n.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(apiv1connect.NewFanfoldHandler(s))
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen(r)
		mux.ServeHTTP(w, r)
	})}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(l)
	host, _, _ := net.SplitHostPort(address)
	stop = sync.OnceFunc(func() {
		n.Kill(host)
		server.Close()
	})
	t.Cleanup(stop)
	return stop
}

func dial(t *testing.T, n *pipenet.Network, addresses ...string) *sdk.Client {
	t.Helper()
	c, err := sdk.NewClient(sdk.ClientConfig{Addresses: addresses, Dialer: n.Dialer("client")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// logs collects what a logger writes, without the times.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logs) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
