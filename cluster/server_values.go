package cluster

import (
	"bufio"
	"context"
	"io"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// PutChunk uploads a part of a payload. The state machine refuses a value whose blob is not complete.
func (s *server) PutChunk(ctx context.Context, req *connect.Request[apiv1.PutChunkRequest]) (*connect.Response[apiv1.PutChunkResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.PutChunk,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.PutChunkRequest) (*apiv1.PutChunkResponse, error) {
			switch {
			case len(q.GetBlob()) != blobIDBytes:
				return nil, invalid("blob has %d bytes; a blob id is %d random bytes", len(q.GetBlob()), blobIDBytes)
			case len(q.GetData()) == 0:
				return nil, invalid("data is empty; a chunk has 1 to %d bytes", inlineMax)
			case len(q.GetData()) > inlineMax:
				return nil, tooLarge("data has %d bytes; a chunk has 1 to %d", len(q.GetData()), inlineMax)
			case q.GetIndex() >= chunksMax:
				return nil, tooLarge("chunk %d is past the limit of %d MiB: keep the data elsewhere and pass its name", q.GetIndex(), blobMax>>20)
			}
			index, err := eng.PutChunk(ctx, &fsmpb.PutChunk{Blob: q.GetBlob(), Index: q.GetIndex(), Data: q.GetData()})
			return &apiv1.PutChunkResponse{Index: index}, err
		})
}

// ReadValue streams a value in frames of 256 KiB. All of it comes from one view, so it is whole
// whatever happens to the job meanwhile.
func (s *server) ReadValue(ctx context.Context, req *connect.Request[apiv1.ReadValueRequest], stream *connect.ServerStream[apiv1.ReadValueResponse]) error {
	return s.fail(s.readValue(ctx, req.Msg, stream))
}

func (s *server) readValue(ctx context.Context, q *apiv1.ReadValueRequest, stream *connect.ServerStream[apiv1.ReadValueResponse]) error {
	if !stale(q.GetConsistency()) {
		eng, err := s.leading()
		if err != nil {
			return err
		}
		if _, err := eng.ReadIndex(ctx); err != nil {
			return err
		}
	}
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return err
	}
	ns, err := namespaceOf(q.GetNamespace())
	if err != nil {
		return err
	}
	v := s.h.Machine().View()
	defer v.Close()
	j, err := jobView(v, id, ns)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(frames{stream}, inlineMax)
	if err := writeValue(w, v, j, q); err != nil {
		return err
	}
	return w.Flush()
}

// frames sends each write as a message.
type frames struct {
	stream *connect.ServerStream[apiv1.ReadValueResponse]
}

func (f frames) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); sent += inlineMax { // a writer of much passes the buffer by
		if err := f.stream.Send(&apiv1.ReadValueResponse{Data: p[sent:min(len(p), sent+inlineMax)]}); err != nil {
			return sent, err
		}
	}
	return len(p), nil
}

func writeValue(w io.Writer, v *fsm.View, j *fsm.JobView, q *apiv1.ReadValueRequest) error {
	switch what := q.GetWhat().(type) {
	case *apiv1.ReadValueRequest_Input:
		return v.JobInput(w, j.ID)
	case *apiv1.ReadValueRequest_Result:
		switch {
		case !j.State.Ended():
			return refuse(fsm.CodeNotEnded, "job "+j.ID.String()+" is "+j.State.String()+": wait for its end (`fanfold job watch`), then read the result")
		case j.State != fsm.JobSuccess:
			return refuse(fsm.CodeNotFound, "job "+j.ID.String()+" ended as "+j.State.String()+" and has no result; `fanfold job show` says why")
		}
		return v.JobResult(w, j.ID)
	case *apiv1.ReadValueRequest_Step:
		for i := range j.Steps {
			if st := &j.Steps[i]; st.Name == what.Step {
				if st.State != fsm.TaskSuccess {
					return refuse(fsm.CodeNotEnded, "step "+st.Name+" is "+st.State.String()+" and has no result (yet)")
				}
				return v.StepResult(w, j.ID, what.Step)
			}
		}
		return refuse(fsm.CodeNotFound, "the job has no step of that name; `fanfold job show` lists its steps")
	case *apiv1.ReadValueRequest_Task:
		return v.TaskInput(w, fsm.TaskRef{Job: j.ID, Step: what.Task.GetStep(), Shard: what.Task.GetShard()})
	}
	return invalid("say which value to read: input, result, step or task")
}
