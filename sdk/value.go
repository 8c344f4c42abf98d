package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	maxInline = 256 << 10 // of a value within a message; also the size of a chunk
	maxValue  = 64 << 20
)

// value makes a document ready to travel: as it is, or uploaded before when it is large.
func (c *Client) value(ctx context.Context, doc []byte) (*apiv1.Value, error) {
	switch {
	case len(doc) <= maxInline:
		return &apiv1.Value{Inline: doc}, nil
	case len(doc) > maxValue:
		return nil, fmt.Errorf("%w: the value has %d bytes, the limit is %d; pass a reference to it", ErrTooLarge, len(doc), maxValue)
	}
	blob, err := c.upload(ctx, doc)
	if err != nil {
		return nil, err
	}
	return &apiv1.Value{Blob: blob}, nil
}

// upload sends a document chunk by chunk, in order. A chunk that comes twice is accepted, so each call
// can be repeated.
func (c *Client) upload(ctx context.Context, doc []byte) (*apiv1.Blob, error) {
	id := make([]byte, 16)
	rand.Read(id)
	blob := &apiv1.Blob{Id: id, Size: uint64(len(doc))}
	sums := sha256.New()
	for i := 0; len(doc) > 0; i++ {
		n := min(len(doc), maxInline)
		chunk := doc[:n]
		doc = doc[n:]
		err := c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
			_, err := api.PutChunk(ctx, connect.NewRequest(&apiv1.PutChunkRequest{Blob: id, Index: uint32(i), Data: chunk}))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("upload: %w", err)
		}
		sum := sha256.Sum256(chunk)
		sums.Write(sum[:])
	}
	blob.Sha256 = sums.Sum(nil)
	return blob, nil
}

// read streams a stored value into w. Values do not change, so a stream that breaks is begun again, and
// what w has already got is skipped.
func (c *Client) read(ctx context.Context, what *apiv1.ReadValueRequest, w io.Writer) error {
	what.Namespace = c.cfg.Namespace
	written := 0
	var failed error // of w: no other try helps
	err := c.retry(ctx, plan{}, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // a stream that is left early must end
		stream, err := api.ReadValue(ctx, connect.NewRequest(what))
		if err != nil {
			return err
		}
		defer stream.Close()
		skip := written
		for stream.Receive() {
			data := stream.Msg().Data
			n := min(skip, len(data))
			skip -= n
			if len(data) == n {
				continue
			}
			if _, failed = w.Write(data[n:]); failed != nil {
				return nil
			}
			written += len(data) - n
		}
		return stream.Err()
	})
	if failed != nil {
		return failed
	}
	return err
}

func (c *Client) readAll(ctx context.Context, what *apiv1.ReadValueRequest) ([]byte, error) {
	var b bytes.Buffer
	if err := c.read(ctx, what, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// readPlain streams a stored value into w. To decode a value takes all of it in memory.
func (c *Client) readPlain(ctx context.Context, what *apiv1.ReadValueRequest, w io.Writer) error {
	if c.cfg.Codec == nil {
		return c.read(ctx, what, w)
	}
	doc, err := c.readAll(ctx, what)
	if err == nil {
		doc, err = c.unseal(doc)
	}
	if err == nil {
		_, err = w.Write(doc)
	}
	return err
}

// ReadInput writes a job's input to w, as JSON. A client without a codec gets encoded values as they are
// stored, here and below.
func (c *Client) ReadInput(ctx context.Context, id string, w io.Writer) error {
	return c.readPlain(ctx, &apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Input{Input: true}}, w)
}

// ReadResult writes a job's result to w, as JSON, however large it is. A job that has not ended gives ErrNotEnded.
func (c *Client) ReadResult(ctx context.Context, id string, w io.Writer) error {
	return c.readPlain(ctx, &apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Result{Result: true}}, w)
}

// ReadStepResult writes one step's result to w, as JSON; of an Each, the list.
func (c *Client) ReadStepResult(ctx context.Context, id, step string, w io.Writer) error {
	return c.readPlain(ctx, &apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Step{Step: step}}, w)
}

// Result is the result of a job that has ended, as JSON, for those who do not know its type. It does not
// wait: a job that runs gives ErrNotEnded, one that ended without a result a *JobError, an id that nobody
// has submitted ErrNotFound.
func (c *Client) Result(ctx context.Context, id string) ([]byte, error) {
	var res *apiv1.GetJobResponse
	err := c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		r, err := api.GetJob(ctx, connect.NewRequest(&apiv1.GetJobRequest{Id: id, Namespace: c.cfg.Namespace, WithResult: true}))
		if err == nil {
			res = r.Msg
		}
		return err
	})
	switch r := res.GetResult(); {
	case err != nil:
		return nil, fmt.Errorf("sdk: result of job %s: %w", id, err)
	case !State(res.GetJob().GetState()).Ended():
		return nil, fmt.Errorf("sdk: result of job %s: %w: it is %s", id, ErrNotEnded, res.GetJob().GetState())
	case State(r.GetState()) != Success:
		return nil, jobError(id, State(r.GetState()), r.GetError())
	case !r.GetLarge():
		return c.unsealRaw(r.GetResult())
	}
	var b bytes.Buffer
	if err := c.ReadResult(ctx, id, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
