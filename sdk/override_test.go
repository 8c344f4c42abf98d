package sdk

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/dag"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

var (
	overrideOne  = NewTask("override.one", func(context.Context, int) (int, error) { return 0, nil }, JobTimeout(time.Hour))
	overrideFlow = NewWorkflow("override.flow", func(in Ref[int]) Ref[int] {
		one := Then(in, overrideOne, Queue("slow"), Priority(1), Timeout(time.Second))
		return Then(one, overrideOne, Retry(RetryPolicy{MaxAttempts: 9, First: time.Second}))
	}, JobTimeout(time.Minute))
)

// prepared is the job that a submission with these options sends.
func prepared(t *testing.T, opts ...SubmitOption) *submission {
	t.Helper()
	p, err := overrideClient(t).prepare(t.Context(), RawJob{Graph: overrideFlow.Graph(), Input: []byte("1")}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func overrideClient(t *testing.T) *Client {
	c, err := NewClient(ClientConfig{Addresses: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestOverride_ASubmissionWinsOverAllStepsOptions: what it names is replaced in every step, whatever the step or
// its task said; the rest stays.
func TestOverride_ASubmissionWinsOverAllStepsOptions(t *testing.T) {
	g, err := dag.Decode(prepared(t, Queue("fast"), Priority(0), Retry(RetryPolicy{MaxAttempts: 3}), Timeout(5*time.Second)).job.Graph)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Steps {
		if o := s.Options; o.Queue != "fast" || o.Priority != 1 || o.TimeoutMS != 5000 || o.Retry.MaxAttempts != 3 || o.Retry.FirstMS != 0 {
			t.Errorf("step %s: %+v", s.Name, o)
		}
	}
	g, err = dag.Decode(prepared(t, Timeout(5*time.Second)).job.Graph)
	if err != nil {
		t.Fatal(err)
	}
	first, second := g.Steps[0].Options, g.Steps[1].Options
	if first.Queue != "slow" || first.Priority != 2 || second.Retry.MaxAttempts != 9 || second.Retry.FirstMS != 1000 {
		t.Errorf("what was not named changed: %+v, %+v", first, second)
	}
	if string(prepared(t).job.Graph) != string(overrideFlow.Graph()) {
		t.Error("without options the graph is another one")
	}
}

// TestOverride_TheSameOptionsAreOneGraph: it is rewritten once, and other options do not get it.
func TestOverride_TheSameOptionsAreOneGraph(t *testing.T) {
	a := prepared(t, Queue("fast"), Timeout(time.Second)).job.Graph
	b := prepared(t, Timeout(time.Second), Queue("fast")).job.Graph
	if &a[0] != &b[0] {
		t.Error("the same options made the graph again")
	}
	c := prepared(t, Queue("fast"), Timeout(2*time.Second)).job.Graph
	d := prepared(t, Queue("fast")).job.Graph
	if string(a) == string(c) || string(a) == string(d) {
		t.Error("other options got the same graph")
	}
	// An option at its zero value is not the same as none.
	if string(prepared(t, Timeout(0)).job.Graph) == string(prepared(t).job.Graph) {
		t.Error("Timeout(0) left the step's timeout")
	}
	for i := range 2 * overridesMax {
		prepared(t, Timeout(time.Duration(i+1)*time.Minute))
	}
	if n := len(overrides.graphs); n > overridesMax {
		t.Errorf("%d graphs are cached", n)
	}
}

// TestOverride_ABadOptionIsRefused: before anything is sent.
func TestOverride_ABadOptionIsRefused(t *testing.T) {
	for name, o := range map[string]SubmitOption{
		"queue": Queue(""), "priority": Priority(10), "timeout": Timeout(-1), "attempts": Retry(RetryPolicy{MaxAttempts: -1}),
		"hard timeout below the soft one": AnyOption(func(s *settings) { Timeout(time.Minute)(s); HardTimeout(time.Second)(s) }),
	} {
		_, err := overrideClient(t).prepare(t.Context(), RawJob{Graph: overrideFlow.Graph(), Input: []byte("1")}, []SubmitOption{o})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOverride_StartByIsForOneJob: schedules and webhook sources make many jobs.
func TestOverride_StartByIsForOneJob(t *testing.T) {
	c, by := overrideClient(t), StartBy(time.Now().Add(time.Hour))
	if err := overrideFlow.Schedule(t.Context(), c, 1, Schedule{Name: "s", Every: time.Hour}, by); !errors.Is(err, ErrInvalid) {
		t.Errorf("schedule: %v", err)
	}
	err := c.SetRawWebhookSource(t.Context(), WebhookSource{Name: "s", Options: []SubmitOption{by}}, overrideFlow.Graph())
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("webhook source: %v", err)
	}
}

// TestOverride_SchedulesAndWebhooksHaveTheOptionsOfTheirWorkflow: what NewWorkflow and NewTask were given for all jobs
// goes with each tick and message too, and the options of the call win.
func TestOverride_SchedulesAndWebhooksHaveTheOptionsOfTheirWorkflow(t *testing.T) {
	var node optionNode
	_, handler := apiv1connect.NewFanfoldHandler(&node)
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	c, err := NewClient(ClientConfig{Addresses: []string{server.Listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	every := Schedule{Name: "s", Every: time.Hour}
	source := WebhookSource{Name: "s", Options: []SubmitOption{Queue("fast")}}
	for name, c := range map[string]struct {
		do   func() error
		want time.Duration
	}{
		"task":     {func() error { return overrideOne.Schedule(t.Context(), c, 1, every, Queue("fast")) }, time.Hour},
		"workflow": {func() error { return overrideFlow.Schedule(t.Context(), c, 1, every, Queue("fast")) }, time.Minute},
		"call": {func() error {
			return overrideFlow.Schedule(t.Context(), c, 1, every, Queue("fast"), JobTimeout(time.Second))
		}, time.Second},
		"webhook source": {func() error { return SetWebhookSource(t.Context(), c, source, overrideHook) }, time.Minute},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := node.options.GetTimeoutMs(); got != c.want.Milliseconds() {
			t.Errorf("%s: its jobs have a limit of %d ms, want %v", name, got, c.want)
		}
		g, err := dag.Decode(node.graph)
		if err != nil {
			t.Fatal(err)
		}
		if q := g.Steps[0].Options.Queue; q != "fast" {
			t.Errorf("%s: its jobs go to queue %q", name, q)
		}
	}
}

var overrideHook = NewTask("override.hook", func(context.Context, WebhookEvent[int]) (int, error) { return 0, nil }, JobTimeout(time.Minute))

// optionNode is a node that keeps what it was given for many jobs.
type optionNode struct {
	apiv1connect.UnimplementedFanfoldHandler
	graph   []byte
	options *apiv1.JobOptions
}

func (n *optionNode) ClusterStatus(_ context.Context, r *connect.Request[apiv1.ClusterStatusRequest]) (*connect.Response[apiv1.ClusterStatusResponse], error) {
	return connect.NewResponse(&apiv1.ClusterStatusResponse{}), nil
}

func (n *optionNode) SetSchedule(_ context.Context, r *connect.Request[apiv1.SetScheduleRequest]) (*connect.Response[apiv1.SetScheduleResponse], error) {
	n.graph, n.options = r.Msg.Schedule.Graph, r.Msg.Schedule.Options
	return connect.NewResponse(&apiv1.SetScheduleResponse{}), nil
}

func (n *optionNode) SetWebhook(_ context.Context, r *connect.Request[apiv1.SetWebhookRequest]) (*connect.Response[apiv1.SetWebhookResponse], error) {
	n.graph, n.options = r.Msg.Source.Graph, r.Msg.Source.Options
	return connect.NewResponse(&apiv1.SetWebhookResponse{}), nil
}
