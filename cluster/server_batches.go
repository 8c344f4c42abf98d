package cluster

import (
	"context"
	"encoding/json"
	"errors"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// callbackDataMax bounds what is added to the input of a batch's callback.
const callbackDataMax = 64 << 10

func (s *server) CreateBatch(ctx context.Context, req *connect.Request[apiv1.CreateBatchRequest]) (*connect.Response[apiv1.CreateBatchResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.CreateBatch,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.CreateBatchRequest) (*apiv1.CreateBatchResponse, error) {
			id, c, err := s.createBatchOf(q)
			if err != nil {
				return nil, err
			}
			existing, index, err := eng.CreateBatch(ctx, c)
			return &apiv1.CreateBatchResponse{Id: id.String(), Existing: existing, Index: index}, err
		})
}

func (s *server) createBatchOf(q *apiv1.CreateBatchRequest) (fsm.BatchID, *fsmpb.CreateBatch, error) {
	id := fsm.BatchID(ulid.Make())
	var err error
	if q.GetId() != "" {
		if id, err = batchIDOf(q.GetId()); err != nil {
			return id, nil, err
		}
	}
	ns, err := namespaceOf(q.GetNamespace())
	switch {
	case err != nil:
		return id, nil, err
	case len(q.GetName()) > nameMax:
		return id, nil, invalid("the name of the batch has %d bytes; it may have %d", len(q.GetName()), nameMax)
	case q.GetExpiresMs() < 0 || q.GetExpiresMs() > timeMaxMS:
		return id, nil, invalid("expires_ms is %d: give unix milliseconds up to the year 9999, 0 for never", q.GetExpiresMs())
	case q.GetRetainMs() < 0 || q.GetRetainMs() > durationMaxMS:
		return id, nil, invalid("retain_ms is %d: give milliseconds up to %d (100 years), 0 for the default", q.GetRetainMs(), int64(durationMaxMS))
	}
	c := &fsmpb.CreateBatch{Batch: id[:], Namespace: ns, Name: q.GetName(), ExpiresMs: q.GetExpiresMs(), RetainMs: q.GetRetainMs()}
	for _, cb := range []struct {
		name string
		from *apiv1.BatchCallback
		to   **fsmpb.BatchCallback
	}{{"on_success", q.GetOnSuccess(), &c.OnSuccess}, {"on_complete", q.GetOnComplete(), &c.OnComplete}, {"on_death", q.GetOnDeath(), &c.OnDeath}} {
		if cb.from == nil {
			continue
		}
		if *cb.to, err = s.callbackOf(cb.name, cb.from); err != nil {
			return id, nil, err
		}
	}
	return id, c, nil
}

func (s *server) callbackOf(name string, cb *apiv1.BatchCallback) (*fsmpb.BatchCallback, error) {
	if err := s.graphs.check(cb.GetGraph()); err != nil {
		return nil, err
	}
	data := cb.GetData()
	if len(data) == 0 {
		data = jsonNull
	}
	switch {
	case len(data) > callbackDataMax:
		return nil, tooLarge("the data of %s has %d bytes; it may have %d: keep it elsewhere and pass its name", name, len(data), callbackDataMax)
	case !json.Valid(data):
		return nil, invalid("the data of %s is not valid JSON: encode it with encoding/json", name)
	case cb.GetRetainMs() < 0 || cb.GetRetainMs() > durationMaxMS:
		return nil, invalid("%s: retain_ms is %d: give milliseconds up to %d (100 years), 0 for the default", name, cb.GetRetainMs(), int64(durationMaxMS))
	}
	return &fsmpb.BatchCallback{Graph: cb.GetGraph(), Data: data, RetainMs: cb.GetRetainMs()}, nil
}

func batchIDOf(text string) (fsm.BatchID, error) {
	id, err := fsm.ParseJobID(text)
	if err != nil || id.IsZero() {
		return id, invalid("%.64q is no batch id: it has 26 letters and digits, as `fanfold batch list` prints them", text)
	}
	return id, nil
}

// batchIn reads the id and namespace of a request, and refuses a batch that this node knows to be of
// another namespace. One that it does not know is left to the state machine to judge.
func (s *server) batchIn(id, namespace string) (fsm.BatchID, error) {
	batch, err := batchIDOf(id)
	if err != nil {
		return batch, err
	}
	v := s.h.Machine().View()
	defer v.Close()
	_, err = batchOf(v, id, namespace)
	if errors.Is(err, fsm.ErrNotFound) {
		return batch, nil
	}
	return batch, err
}

// batchOf reads a batch of a namespace.
func batchOf(v *fsm.View, id, namespace string) (*fsm.BatchView, error) {
	batch, err := batchIDOf(id)
	if err != nil {
		return nil, err
	}
	ns, err := namespaceOf(namespace)
	if err != nil {
		return nil, err
	}
	b, err := v.Batch(batch)
	if err == nil && b.Namespace != ns {
		return nil, refuse(fsm.CodeNotFound, "no batch "+id+" in namespace "+ns)
	}
	return b, err
}

// noBatch says which thing it was that is not there.
func noBatch(id string, err error) error {
	if errors.Is(err, fsm.ErrNotFound) {
		return refuse(fsm.CodeNotFound, "there is no batch "+id+": it was never created, or was removed when its retention ended")
	}
	return err
}

func (s *server) CloseBatch(ctx context.Context, req *connect.Request[apiv1.CloseBatchRequest]) (*connect.Response[apiv1.CloseBatchResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.CloseBatch,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.CloseBatchRequest) (*apiv1.CloseBatchResponse, error) {
			id, err := s.batchIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			state, index, err := eng.CloseBatch(ctx, id)
			return &apiv1.CloseBatchResponse{State: state.String(), Index: index}, err
		})
}

func (s *server) ReopenBatch(ctx context.Context, req *connect.Request[apiv1.ReopenBatchRequest]) (*connect.Response[apiv1.ReopenBatchResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ReopenBatch,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.ReopenBatchRequest) (*apiv1.ReopenBatchResponse, error) {
			id, err := s.batchIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			state, index, err := eng.ReopenBatch(ctx, id)
			return &apiv1.ReopenBatchResponse{State: state.String(), Index: index}, err
		})
}

func (s *server) CancelBatch(ctx context.Context, req *connect.Request[apiv1.CancelBatchRequest]) (*connect.Response[apiv1.CancelBatchResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.CancelBatch,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.CancelBatchRequest) (*apiv1.CancelBatchResponse, error) {
			if len(q.GetReason()) > reasonMax {
				return nil, tooLarge("the reason has %d bytes; it may have %d", len(q.GetReason()), reasonMax)
			}
			id, err := s.batchIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			state, index, err := eng.CancelBatch(ctx, id, q.GetReason())
			return &apiv1.CancelBatchResponse{State: state.String(), Index: index}, err
		})
}

func (s *server) PurgeBatch(ctx context.Context, req *connect.Request[apiv1.PurgeBatchRequest]) (*connect.Response[apiv1.PurgeBatchResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.PurgeBatch,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.PurgeBatchRequest) (*apiv1.PurgeBatchResponse, error) {
			id, err := s.batchIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			index, err := eng.PurgeBatch(ctx, id)
			return &apiv1.PurgeBatchResponse{Index: index}, err
		})
}
