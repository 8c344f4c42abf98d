package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// node is a server that answers as its fields say.
type node struct {
	apiv1connect.UnimplementedFanfoldHandler
	address string

	mu     sync.Mutex
	calls  int
	answer func(call int) error // of GetJob and ReadValue; nil: success
	chunks [][]byte             // of ReadValue
	upload map[uint32][]byte
}

func (n *node) next() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.answer == nil {
		return nil
	}
	return n.answer(n.calls)
}

func (n *node) GetJob(context.Context, *connect.Request[apiv1.GetJobRequest]) (*connect.Response[apiv1.GetJobResponse], error) {
	if err := n.next(); err != nil {
		return nil, err
	}
	return connect.NewResponse(&apiv1.GetJobResponse{Job: &apiv1.JobStatus{Id: n.address}}), nil
}

// ReadValue breaks off after the first chunk when the answer is an error.
func (n *node) ReadValue(_ context.Context, _ *connect.Request[apiv1.ReadValueRequest], stream *connect.ServerStream[apiv1.ReadValueResponse]) error {
	failed := n.next()
	for _, chunk := range n.chunks {
		if err := stream.Send(&apiv1.ReadValueResponse{Data: chunk}); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

func (n *node) PutChunk(_ context.Context, r *connect.Request[apiv1.PutChunkRequest]) (*connect.Response[apiv1.PutChunkResponse], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.upload[r.Msg.GetIndex()] = r.Msg.GetData()
	return connect.NewResponse(&apiv1.PutChunkResponse{}), nil
}

func serve(t *testing.T, n *node) *node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.address, n.upload = listener.Addr().String(), make(map[uint32][]byte)
	_, handler := apiv1connect.NewFanfoldHandler(n)
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return n
}

// answered is an error with the detail that every error of the API has.
func answered(code, leader string) error {
	detail, err := connect.NewErrorDetail(&apiv1.ErrorInfo{Code: code, Leader: leader, Message: "because"})
	if err != nil {
		panic(err)
	}
	failed := connect.NewError(connect.CodeUnavailable, errors.New("because"))
	failed.AddDetail(detail)
	return failed
}

func getJob(c *Client) (string, error) {
	answer, err := Call(context.Background(), c, apiv1connect.FanfoldClient.GetJob, &apiv1.GetJobRequest{})
	return answer.GetJob().GetId(), err
}

func TestCall_FollowsTheLeader(t *testing.T) {
	leader := serve(t, &node{})
	follower := serve(t, &node{answer: func(int) error { return answered("NOT_LEADER", leader.address) }})
	got, err := getJob(New([]string{follower.address}))
	if err != nil || got != leader.address {
		t.Errorf("answered by %q, %v; the leader is %q", got, err, leader.address)
	}
}

func TestCall_WaitsOutAnElection(t *testing.T) {
	one := serve(t, &node{answer: func(call int) error {
		if call < 4 {
			return answered("NO_LEADER", "")
		}
		return nil
	}})
	if _, err := getJob(New([]string{"127.0.0.1:1", one.address})); err != nil {
		t.Error(err)
	}
}

func TestCall_NobodyThereIsSaidAtOnce(t *testing.T) {
	_, err := getJob(New([]string{"127.0.0.1:1", "127.0.0.1:2"}))
	if code, hint := exit.Of(err); code != exit.Unavailable || hint == "" {
		t.Errorf("exit code %d with next step %q: %v", code, hint, err)
	}
}

func TestCall_ARefusalIsFinal(t *testing.T) {
	one := serve(t, &node{answer: func(int) error { return answered("NOT_FOUND", "") }})
	_, err := getJob(New([]string{one.address}))
	if code, _ := exit.Of(err); code != exit.NotFound || err.Error() != "because" {
		t.Errorf("exit code %d: %v", code, err)
	}
	if one.calls != 1 {
		t.Errorf("asked %d times", one.calls)
	}
}

func TestReadValue_GoesOnWhereAStreamBroke(t *testing.T) {
	one := serve(t, &node{
		chunks: [][]byte{[]byte(`[1,2`), []byte(`,3,`), []byte(`4]`)},
		answer: func(call int) error {
			if call < 3 {
				return answered("NO_LEADER", "")
			}
			return nil
		},
	})
	var document bytes.Buffer
	if err := New([]string{one.address}).ReadValue(context.Background(), &document, &apiv1.ReadValueRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := document.String(); got != "[1,2,3,4]" {
		t.Errorf("read %s", got)
	}
}

func TestUpload_CutsAndSums(t *testing.T) {
	one := serve(t, &node{})
	document := bytes.Repeat([]byte("0123456789"), 60_000)
	value, err := New([]string{one.address}).Upload(context.Background(), document)
	if err != nil {
		t.Fatal(err)
	}
	var sums, whole []byte
	for index := range uint32(len(one.upload)) {
		sum := sha256.Sum256(one.upload[index])
		sums, whole = append(sums, sum[:]...), append(whole, one.upload[index]...)
	}
	want := sha256.Sum256(sums)
	if !bytes.Equal(whole, document) || !bytes.Equal(value.GetBlob().GetSha256(), want[:]) || value.GetBlob().GetSize() != uint64(len(document)) {
		t.Errorf("%d bytes were uploaded in %d chunks as %v", len(whole), len(one.upload), value)
	}
	small, err := New([]string{one.address}).Upload(context.Background(), []byte(`1`))
	if err != nil || string(small.GetInline()) != "1" {
		t.Errorf("a small value became %v, %v", small, err)
	}
	_, err = New([]string{one.address}).Upload(context.Background(), make([]byte, valueLimit+1))
	if err == nil {
		t.Error("a value over the limit was taken")
	}
}

func TestRefused_ANextStepIsGivenWhereTheAnswerNamesNone(t *testing.T) {
	for message, want := range map[string]string{
		"there is no job X: it was purged":                           "see `fanfold job list`",
		"there is no redrive X":                                      "see `fanfold dead redrives`",
		"there is no batch X":                                        "see `fanfold batch list`",
		"there is no queue \"q\": `fanfold queue list` shows others": "",
		"the job has no step of that name":                           "",
	} {
		if code, hint := exit.Of(Refused(&apiv1.ErrorInfo{Code: "NOT_FOUND", Message: message})); code != exit.NotFound || hint != want {
			t.Errorf("%q: exit code %d, next %q, want %q", message, code, hint, want)
		}
	}
}
