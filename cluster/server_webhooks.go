package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cluster/webhook"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// hookName translates and checks the name of a webhook.
func hookName(n *apiv1.WebhookName) (*fsmpb.WebhookName, error) {
	ns, err := namespaceOf(n.GetNamespace())
	if err != nil {
		return nil, err
	}
	out := &fsmpb.WebhookName{Namespace: ns}
	switch k := n.GetKind().(type) {
	case *apiv1.WebhookName_Source:
		out.Kind, err = &fsmpb.WebhookName_Source{Source: k.Source}, checkName("webhook source", k.Source)
	case *apiv1.WebhookName_Endpoint:
		out.Kind, err = &fsmpb.WebhookName_Endpoint{Endpoint: k.Endpoint}, checkName("webhook endpoint", k.Endpoint)
	default:
		err = invalid("name a webhook source or a webhook endpoint")
	}
	return out, err
}

func (s *server) SetWebhook(ctx context.Context, req *connect.Request[apiv1.SetWebhookRequest]) (*connect.Response[apiv1.SetWebhookResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SetWebhook,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.SetWebhookRequest) (*apiv1.SetWebhookResponse, error) {
			c, made, err := s.setWebhookOf(q)
			if err != nil {
				return nil, err
			}
			created, index, err := eng.SetWebhook(ctx, c)
			return &apiv1.SetWebhookResponse{Created: created, Secret: made, Index: index}, err
		})
}

// setWebhookOf translates a request; made is the secret that was made for a new endpoint, or for a rotation.
func (s *server) setWebhookOf(q *apiv1.SetWebhookRequest) (c *fsmpb.SetWebhook, made string, err error) {
	name, err := hookName(q.GetName())
	if err != nil {
		return nil, "", err
	}
	c = &fsmpb.SetWebhook{Name: name, Rotate: q.GetRotate()}
	scheme := webhook.Standard
	if p := q.GetSource(); p != nil {
		scheme = p.GetScheme()
		if err := s.graphs.check(p.GetGraph()); err != nil {
			return nil, "", err
		}
		options, err := optionsOf(p.GetOptions(), nil)
		if err != nil {
			return nil, "", err
		}
		c.Source = &fsmpb.WebhookSource{Scheme: scheme, ToleranceMs: p.GetToleranceMs(), MaxBytes: p.GetMaxBytes(), Events: p.GetEvents(),
			Graph: p.GetGraph(), Options: options, RetainMs: p.GetRetainMs()}
	}
	if p := q.GetEndpoint(); p != nil {
		if u, err := url.Parse(p.GetUrl()); err != nil || u.Hostname() == "" || u.User != nil {
			return nil, "", invalid("the URL %.200q has not the form https://host/path", p.GetUrl())
		}
		c.Endpoint = &fsmpb.WebhookEndpoint{Url: p.GetUrl(), Events: p.GetEvents(), Workflows: p.GetWorkflows(), Parallel: p.GetParallel(), TimeoutMs: p.GetTimeoutMs()}
	}
	for _, text := range q.GetSecrets() {
		key, err := webhook.ParseSecret(scheme, text)
		if err != nil {
			return nil, "", invalid("%v", err)
		}
		c.Secrets = append(c.Secrets, key)
	}
	if c.Endpoint != nil && len(c.Secrets) == 0 && (c.Rotate || !s.hasEndpoint(name)) {
		key, text := webhook.NewSecret()
		c.Secrets, made = [][]byte{key}, text
	}
	return c, made, nil
}

func (s *server) hasEndpoint(name *fsmpb.WebhookName) bool {
	v := s.h.Machine().View()
	defer v.Close()
	_, _, err := v.Deliveries(name.GetNamespace(), name.GetEndpoint(), 0, 0, 1)
	return err == nil
}

var hookChanges = map[string]fsmpb.WebhookChange{
	"delete": fsmpb.WebhookChange_WEBHOOK_CHANGE_DELETE, "pause": fsmpb.WebhookChange_WEBHOOK_CHANGE_PAUSE,
	"resume": fsmpb.WebhookChange_WEBHOOK_CHANGE_RESUME, "test": fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST,
}

func (s *server) ChangeWebhook(ctx context.Context, req *connect.Request[apiv1.ChangeWebhookRequest]) (*connect.Response[apiv1.ChangeWebhookResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ChangeWebhook,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.ChangeWebhookRequest) (*apiv1.ChangeWebhookResponse, error) {
			name, err := hookName(q.GetName())
			if err != nil {
				return nil, err
			}
			change, ok := hookChanges[q.GetChange()]
			if !ok {
				return nil, invalid("change %.32q: use delete, pause, resume or test", q.GetChange())
			}
			test, index, err := eng.ChangeWebhook(ctx, &fsmpb.ChangeWebhook{Name: name, Change: change})
			if err != nil {
				return nil, err
			}
			res := &apiv1.ChangeWebhookResponse{Index: index}
			if test != (fsm.DeliveryRef{}) {
				res.Delivery = fsm.DeliveryID(s.h.ClusterID(), test)
			}
			return res, nil
		})
}

func (s *server) ListWebhooks(ctx context.Context, req *connect.Request[apiv1.ListWebhooksRequest]) (*connect.Response[apiv1.ListWebhooksResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListWebhooks, listWebhooks)
}

func listWebhooks(v *fsm.View, q *apiv1.ListWebhooksRequest) (*apiv1.ListWebhooksResponse, error) {
	ns, err := namespaceOf(q.GetNamespace())
	if err != nil {
		return nil, err
	}
	sources, err := v.Sources(ns)
	if err != nil {
		return nil, err
	}
	endpoints, err := v.Endpoints(ns)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListWebhooksResponse{Index: v.Index()}
	for _, p := range sources {
		res.Sources = append(res.Sources, hookSource(p))
	}
	for _, p := range endpoints {
		res.Endpoints = append(res.Endpoints, hookEndpoint(p))
	}
	return res, nil
}

// hookSource shows a source without its secrets and its graph.
func hookSource(p *fsm.SourceView) *apiv1.WebhookSourceStatus {
	return &apiv1.WebhookSourceStatus{
		Name: p.Name, Namespace: p.Namespace, Workflow: p.Workflow, Secrets: uint32(len(p.Secrets)), Paused: p.Paused,
		Received: p.Received, Duplicates: p.Duplicates, LastMs: p.LastMS, CreatedMs: p.CreatedMS,
		Source: &apiv1.WebhookSource{Scheme: p.Scheme, ToleranceMs: p.ToleranceMS, MaxBytes: p.MaxBytes, Events: p.Events, RetainMs: p.RetainMS},
	}
}

// hookEndpoint shows an endpoint without its secrets.
func hookEndpoint(p *fsm.EndpointView) *apiv1.WebhookEndpointStatus {
	return &apiv1.WebhookEndpointStatus{
		Name: p.Name, Namespace: p.Namespace, Secrets: uint32(len(p.Secrets)), Paused: p.Paused, Disabled: p.Disabled,
		Pending: p.Pending, Delivered: p.Delivered, Failed: p.Failed, Dropped: p.Dropped,
		LastStatus: p.LastStatus, LastError: p.LastError, LastMs: p.LastMS, NotBeforeMs: p.NotBeforeMS, CreatedMs: p.CreatedMS,
		Endpoint: &apiv1.WebhookEndpoint{Url: p.URL, Events: p.Events, Workflows: p.Workflows, Parallel: p.Parallel, TimeoutMs: p.TimeoutMS},
	}
}

func (s *server) ListDeliveries(ctx context.Context, req *connect.Request[apiv1.ListDeliveriesRequest]) (*connect.Response[apiv1.ListDeliveriesResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListDeliveries, listDeliveries)
}

func listDeliveries(v *fsm.View, q *apiv1.ListDeliveriesRequest) (*apiv1.ListDeliveriesResponse, error) {
	ns, size, before, err := pageOf(q, func(token string) (uint64, error) { return strconv.ParseUint(token, 10, 64) })
	if err != nil {
		return nil, err
	}
	var state fsm.DeliveryState
	if q.GetState() != "" {
		var ok bool
		if state, ok = fsm.ParseDeliveryState(q.GetState()); !ok {
			return nil, invalid("state %.32q: use PENDING, DELIVERED or FAILED", q.GetState())
		}
	}
	res := &apiv1.ListDeliveriesResponse{Index: v.Index()}
	if q.GetId() != "" {
		d, err := oneDelivery(v, ns, q)
		if err != nil {
			return nil, err
		}
		res.Deliveries = []*apiv1.Delivery{d}
		return res, nil
	}
	all, next, err := v.Deliveries(ns, q.GetEndpoint(), state, before, size)
	if errors.Is(err, fsm.ErrNotFound) {
		return nil, refuse(fsm.CodeNotFound, fmt.Sprintf("there is no webhook endpoint %q in namespace %s: `fanfold webhook endpoint list` shows those there are", q.GetEndpoint(), ns))
	}
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		res.Deliveries = append(res.Deliveries, hookDelivery(v, q.GetEndpoint(), d))
	}
	if next > 0 {
		res.NextPageToken = strconv.FormatUint(next, 10)
	}
	return res, nil
}

// oneDelivery finds a delivery by its id, with its body. The id knows the endpoint.
func oneDelivery(v *fsm.View, ns string, q *apiv1.ListDeliveriesRequest) (*apiv1.Delivery, error) {
	ref, err := deliveryOf(q.GetId())
	if err != nil {
		return nil, err
	}
	endpoints, err := v.Endpoints(ns)
	if err != nil {
		return nil, err
	}
	for _, p := range endpoints {
		if p.ID != ref.Endpoint || q.GetEndpoint() != "" && q.GetEndpoint() != p.Name {
			continue
		}
		d, err := v.Delivery(ns, p.Name, ref)
		if errors.Is(err, fsm.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		out := hookDelivery(v, p.Name, d)
		out.Body = d.Body
		return out, nil
	}
	return nil, refuse(fsm.CodeNotFound, "there is no such delivery: `fanfold webhook delivery list ENDPOINT` shows those that are kept, the last 1000 that ended and all that are pending")
}

func deliveryOf(id string) (fsm.DeliveryRef, error) {
	ref, ok := fsm.ParseDeliveryID(id)
	if !ok {
		return ref, invalid("%.64q is no delivery id: it begins with msg_, as `fanfold webhook delivery list` prints them", id)
	}
	return ref, nil
}

func hookDelivery(v *fsm.View, endpoint string, d *fsm.DeliveryView) *apiv1.Delivery {
	out := &apiv1.Delivery{
		Id: fsm.DeliveryID(v.ClusterID(), d.Ref), Endpoint: endpoint, Event: d.Event, State: d.State.String(), Attempts: d.Attempts,
		CreatedMs: d.CreatedMS, DueMs: d.DueMS, EndedMs: d.EndedMS, LastStatus: d.LastStatus, LastError: d.LastError,
	}
	if !d.Job.IsZero() {
		out.Job = d.Job.String()
	}
	return out
}

func (s *server) ReplayDelivery(ctx context.Context, req *connect.Request[apiv1.ReplayDeliveryRequest]) (*connect.Response[apiv1.ReplayDeliveryResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ReplayDelivery,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.ReplayDeliveryRequest) (*apiv1.ReplayDeliveryResponse, error) {
			ns, err := namespaceOf(q.GetNamespace())
			if err != nil {
				return nil, err
			}
			c := &fsmpb.ReplayDelivery{Namespace: ns, Endpoint: q.GetEndpoint(), SinceMs: q.GetSinceMs()}
			if q.GetId() != "" {
				ref, err := deliveryOf(q.GetId())
				if err != nil {
					return nil, err
				}
				c.Delivery = ref.Proto()
			}
			n, index, err := eng.ReplayDelivery(ctx, c)
			return &apiv1.ReplayDeliveryResponse{Replayed: n, Index: index}, err
		})
}
