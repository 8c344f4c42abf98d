package sdk

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Save keeps a checkpoint of the task, in place of the one before. When it has returned, a majority of the
// cluster has it, and the next attempt finds it by Saved, whichever worker or node dies. It is dropped
// when the task succeeds, and kept when it is dead or canceled, for Retry. At most 256 KiB of JSON
// (ErrTooLarge); all that one task saves, with its sub-steps (Once), may have 1 MiB.
//
// It costs a round trip and a log entry, so save what took seconds and not each item. ErrLeaseLost and
// ErrJobCanceled say that this attempt is over. Outside a task it panics.
func Save[T any](ctx context.Context, v T) error {
	a := attemptOf(ctx, "Save")
	doc, err := a.encode(v)
	if err == nil {
		err = a.save(ctx, doc)
	}
	if err != nil {
		return fmt.Errorf("sdk: save: %w", err)
	}
	return nil
}

// Saved reads the last checkpoint of the task, of this attempt or an earlier one, into v. false: there is
// none, and v is as it was. Outside a task it panics.
func Saved[T any](ctx context.Context, v *T) (bool, error) {
	a := attemptOf(ctx, "Saved")
	doc, err := a.lastSaved(ctx)
	if err == nil && doc != nil {
		err = a.decode(doc, v)
	}
	if err != nil {
		return false, fmt.Errorf("sdk: saved: %w", err)
	}
	return doc != nil, nil
}

// Once runs fn the first time that any attempt of the task comes here, and returns what it returned then
// ever after: a sub-step whose result survives the worker. The name tells the task's sub-steps apart, and
// must be the same in every attempt: 1 to 255 bytes, at most 1,000 names in a task. Its result has the
// bounds of Save. An error of fn is not kept. fn may run twice when the worker dies between its end and
// the record, so what it does outside should know Key and the name.
//
// Sub-steps with different names may run at once. Outside a task it panics.
func Once[T any](ctx context.Context, name string, fn func(context.Context) (T, error)) (T, error) {
	a := attemptOf(ctx, "Once")
	var out T
	if name == "" || len(name) > 255 {
		return out, fmt.Errorf("sdk: once: %w: the name %.40q has not 1 to 255 bytes", ErrInvalid, name)
	}
	var failed error // of fn: returned as it is
	doc, err := a.once(ctx, name, func() ([]byte, error) {
		v, err := fn(ctx)
		if err != nil {
			failed = err
			return nil, err
		}
		return a.encode(v)
	})
	if failed != nil {
		return out, failed
	}
	if err == nil {
		err = a.decode(doc, &out)
	}
	if err != nil {
		return out, fmt.Errorf("sdk: once %s: %w", name, err)
	}
	return out, nil
}

func (a *attempt) encode(v any) ([]byte, error) {
	doc, err := encodeAny(v)
	if err != nil {
		return nil, Permanent(&CodecError{What: "checkpoint", Type: reflect.TypeOf(v).String(), Err: err})
	}
	return a.session.worker.client.seal(doc)
}

func (a *attempt) decode(doc []byte, into any) error {
	doc, err := a.session.worker.client.unseal(doc)
	if err != nil {
		return err
	}
	if err := decode(doc, into); err != nil {
		return Permanent(&CodecError{What: "checkpoint", Type: reflect.TypeOf(into).Elem().String(), Err: err})
	}
	return nil
}

// kept is what an attempt knows of what its task has saved.
type kept struct {
	mu     sync.Mutex // guards what follows, and is held while something is saved: saves have an order
	read   bool       // last and steps are what the cluster has
	unsure bool       // a save had no answer: read them, whatever the assignment said
	last   []byte     // the checkpoint; nil: none
	steps  map[string][]byte
	seq    uint64 // of the last save of a checkpoint
	doing  map[string]*doing
}

// doing is a sub-step that runs now. doc and err are set before done is closed.
type doing struct {
	done chan struct{}
	doc  []byte
	err  error
}

// load reads what the task has saved. Precondition: mu is held.
func (a *attempt) load(ctx context.Context) error {
	k := &a.kept
	if k.read {
		return nil
	}
	last, steps := k.last, map[string][]byte{} // last: this attempt may have saved before it read
	if a.msg.Saved || k.unsure {
		all, err := a.session.worker.client.listSaved(ctx, a.msg.Job, a.msg.Step, a.msg.Task.GetShard())
		if err != nil {
			return err
		}
		last = nil
		for _, s := range all {
			if s.Slot == 0 {
				last = s.Data
			} else {
				steps[s.Name] = s.Data
			}
		}
	}
	k.last, k.steps, k.read, k.unsure = last, steps, true, false
	return nil
}

func (a *attempt) lastSaved(ctx context.Context) ([]byte, error) {
	a.kept.mu.Lock()
	defer a.kept.mu.Unlock()
	err := a.load(ctx)
	return a.kept.last, err
}

func (a *attempt) save(ctx context.Context, doc []byte) error {
	k := &a.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seq++ // a try that comes late does not replace this one
	if err := a.send(ctx, &apiv1.SaveTaskRequest{Seq: k.seq, Data: doc}); err != nil {
		return err
	}
	k.last = doc
	return nil
}

// once finds the sub-step's result, or makes it; of callers at the same time one makes it.
func (a *attempt) once(ctx context.Context, name string, run func() ([]byte, error)) ([]byte, error) {
	k := &a.kept
	k.mu.Lock()
	err := a.load(ctx)
	doc, has := k.steps[name]
	other := k.doing[name]
	if err != nil || has || other != nil {
		k.mu.Unlock()
		if other == nil || has || err != nil {
			return doc, err
		}
		select {
		case <-other.done:
			return other.doc, other.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if k.doing == nil {
		k.doing = map[string]*doing{}
	}
	mine := &doing{done: make(chan struct{}), err: errors.New("the sub-step has panicked")}
	k.doing[name] = mine
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.doing, name)
		k.mu.Unlock()
		close(mine.done)
	}()
	if doc, err = run(); err == nil {
		doc, err = a.record(ctx, name, doc)
	}
	mine.doc, mine.err = doc, err
	return doc, err
}

// record saves the result of a sub-step in the next slot.
func (a *attempt) record(ctx context.Context, name string, doc []byte) ([]byte, error) {
	k := &a.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	if there, has := k.steps[name]; has { // an earlier try without an answer
		return there, nil
	}
	slot := uint32(len(k.steps) + 1)
	if err := a.send(ctx, &apiv1.SaveTaskRequest{Slot: slot, Name: name, Data: doc}); err != nil {
		return nil, err
	}
	k.steps[name] = doc
	return doc, nil
}

// send saves. An error leaves open whether the cluster has it. Precondition: mu is held.
func (a *attempt) send(ctx context.Context, q *apiv1.SaveTaskRequest) error {
	if len(q.Data) > maxSaved {
		return fmt.Errorf("%w: it has %d bytes and may have %d; store it elsewhere and save where it is", ErrTooLarge, len(q.Data), maxSaved)
	}
	s := a.session
	s.mu.Lock()
	q.Session = s.id
	s.mu.Unlock()
	q.FenceIndex, q.FencePos = a.fence.index, a.fence.pos
	q.Job, q.Step, q.Shard = a.msg.Job, a.msg.Task.GetStep(), a.msg.Task.GetShard()
	err := s.worker.client.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.SaveTask(ctx, connect.NewRequest(q))
		return err
	})
	if err != nil {
		a.kept.read, a.kept.unsure = false, true
	}
	return err
}

const maxSaved = 256 << 10

// SavedEntry is what a task has saved: the checkpoint in slot 0, sub-steps with their names in the ones after it.
type SavedEntry = apiv1.Saved

// Saved lists what a task that is not done has saved. step "" is the only step of a job of one; shard is
// the item of an Each. Encoded values (ClientConfig.Codec) are decoded.
func (c *Client) Saved(ctx context.Context, id, step string, shard uint64) ([]*SavedEntry, error) {
	all, err := c.listSaved(ctx, id, step, shard)
	for _, s := range all {
		if err == nil {
			s.Data, err = c.unseal(s.Data)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sdk: saved of job %s: %w", id, err)
	}
	return all, nil
}

func (c *Client) listSaved(ctx context.Context, id, step string, shard uint64) (all []*apiv1.Saved, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListSaved(ctx, connect.NewRequest(&apiv1.ListSavedRequest{Id: id, Namespace: c.cfg.Namespace, Step: step, Shard: shard}))
		if err == nil {
			all = res.Msg.Saved
		}
		return err
	})
	return all, err
}
