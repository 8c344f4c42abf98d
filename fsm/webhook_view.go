package fsm

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// SourceView is a webhook source. Secrets are for the node that verifies, and go no further.
type SourceView struct {
	Namespace, Name, Scheme         string
	Secrets                         [][]byte
	ToleranceMS                     int64
	MaxBytes                        uint32
	Events                          []string
	Workflow                        string
	Graph, Options                  []byte // as they were set
	RetainMS                        int64
	Paused                          bool
	CreatedMS, LastMS               int64
	Received, Duplicates, Remembers uint64
}

// EndpointView is a webhook endpoint. Secrets are for the node that signs, and go no further.
type EndpointView struct {
	ID                                         uint64
	Namespace, Name, URL                       string
	Secrets                                    [][]byte
	Events, Workflows                          []string
	Parallel                                   uint32
	TimeoutMS                                  int64
	Paused                                     bool
	Disabled                                   string
	CreatedMS, NotBeforeMS                     int64
	Pending, Ended, Delivered, Failed, Dropped uint64
	LastStatus                                 uint32
	LastError                                  string
	LastMS                                     int64
}

// DeliveryView is a delivery.
type DeliveryView struct {
	Ref                       DeliveryRef
	Event                     string
	Job                       JobID // zero for a test
	State                     DeliveryState
	Attempts                  uint32
	CreatedMS, DueMS, EndedMS int64
	LastStatus                uint32
	LastError                 string
	Body                      []byte
}

// Source returns a webhook source with its secrets, or ErrNotFound.
func (v *View) Source(namespace, name string) (s *SourceView, err error) {
	defer catch(&err)
	b := v.disk.get(keySource(namespace, name))
	if b == nil {
		return nil, ErrNotFound
	}
	return v.source(decodeSource(namespace, name, b)), nil
}

func (v *View) source(s *hookSource) *SourceView {
	return &SourceView{
		Namespace: s.namespace, Name: s.name, Scheme: s.scheme, Secrets: s.secrets, ToleranceMS: s.toleranceMS, MaxBytes: s.maxBytes,
		Events: s.events, Workflow: v.m.graphs.get(v.disk, s.graph).Name, Graph: v.disk.mustGet(keyGraph(s.graph)),
		Options: s.options, RetainMS: s.retainMS, Paused: s.paused, CreatedMS: s.createdMS, LastMS: s.lastMS,
		Received: s.received, Duplicates: s.duplicates, Remembers: s.receipts,
	}
}

// Sources lists a namespace's webhook sources by name; of all namespaces for "".
func (v *View) Sources(namespace string) (all []*SourceView, err error) {
	defer catch(&err)
	v.eachHook(tagSource, namespace, func(ns, name string, b []byte) {
		all = append(all, v.source(decodeSource(ns, name, bytes.Clone(b))))
	})
	return all, nil
}

// Endpoints lists a namespace's webhook endpoints by name, with their secrets; of all namespaces for "".
func (v *View) Endpoints(namespace string) (all []*EndpointView, err error) {
	defer catch(&err)
	v.eachHook(tagEndpoint, namespace, func(ns, name string, b []byte) {
		all = append(all, endpointView(decodeEndpoint(ns, name, b)))
	})
	return all, nil
}

func (v *View) eachHook(tag byte, namespace string, f func(ns, name string, b []byte)) {
	prefix := []byte{tag}
	if namespace != "" {
		prefix = keyHook(tag, namespace, "")
	}
	v.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
		ns, name := parseHookName(k)
		f(ns, name, b)
		return true
	})
}

func endpointView(p *hookEndpoint) *EndpointView {
	return &EndpointView{
		ID: p.id, Namespace: p.namespace, Name: p.name, URL: p.url, Secrets: p.secrets, Events: p.events, Workflows: p.workflows,
		Parallel: p.parallel, TimeoutMS: p.timeoutMS, Paused: p.paused, Disabled: p.disabled, CreatedMS: p.createdMS, NotBeforeMS: p.notBefore,
		Pending: p.pending, Ended: p.ended, Delivered: p.delivered, Failed: p.failed, Dropped: p.dropped,
		LastStatus: p.lastStatus, LastError: p.lastError, LastMS: p.lastMS,
	}
}

func deliveryView(d *delivery) *DeliveryView {
	return &DeliveryView{
		Ref: d.ref, Event: d.event, Job: d.job, State: d.state, Attempts: d.attempts, CreatedMS: d.createdMS, DueMS: d.dueMS,
		EndedMS: d.endedMS, LastStatus: d.status, LastError: d.err, Body: d.body,
	}
}

// endpoint returns an endpoint by its name, or ErrNotFound.
func (v *View) endpoint(namespace, name string) (*hookEndpoint, error) {
	b := v.disk.get(keyEndpoint(namespace, name))
	if b == nil {
		return nil, ErrNotFound
	}
	return decodeEndpoint(namespace, name, b), nil
}

// Delivery returns a delivery of an endpoint, or ErrNotFound.
func (v *View) Delivery(namespace, endpoint string, r DeliveryRef) (d *DeliveryView, err error) {
	defer catch(&err)
	p, err := v.endpoint(namespace, endpoint)
	if err != nil {
		return nil, err
	}
	b := v.disk.get(keyDelivery(r))
	if b == nil || p.id != r.Endpoint {
		return nil, ErrNotFound
	}
	return deliveryView(decodeDelivery(r, b)), nil
}

// Deliveries lists an endpoint's deliveries, newest first, before the given number (0: from the newest), at
// most limit of them, in one state (0: in any). next is where the following page begins, 0 after the last.
// It returns ErrNotFound without the endpoint.
func (v *View) Deliveries(namespace, endpoint string, state DeliveryState, before uint64, limit int) (all []*DeliveryView, next uint64, err error) {
	defer catch(&err)
	p, err := v.endpoint(namespace, endpoint)
	if err != nil {
		return nil, 0, err
	}
	low := keyDelivery(DeliveryRef{Endpoint: p.id})
	high := prefixEnd(append(keyDeliveries(p.id), partDelivery))
	if before > 0 {
		high = keyDelivery(DeliveryRef{p.id, before})
	}
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	must(err)
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.Last(); ok; ok = it.Prev() {
		d := decodeDelivery(parseDelivery(it.Key()), bytes.Clone(it.Value()))
		if state != 0 && d.state != state {
			continue
		}
		if len(all) == limit {
			return all, all[limit-1].Ref.Seq, nil
		}
		all = append(all, deliveryView(d))
	}
	return all, 0, nil
}

// DueDeliveries calls f for an endpoint's pending deliveries that are due from a time on, in the order of
// their due times, until f returns false. What is written after the view is due at the view's time or later.
func (v *View) DueDeliveries(endpoint uint64, from int64, f func(d *DeliveryView) bool) (err error) {
	defer catch(&err)
	low := keyDue(DeliveryRef{Endpoint: endpoint}, from)
	high := prefixEnd(append(keyDeliveries(endpoint), partDue))
	v.disk.scan(low, high, func(k, _ []byte) bool {
		r, _ := parseDue(k)
		return f(deliveryView(decodeDelivery(r, v.disk.mustGet(keyDelivery(r)))))
	})
	return nil
}
