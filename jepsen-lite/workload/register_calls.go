package workload

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// What clients of the register workload do.
const (
	opCreate = "create"
	opCancel = "cancel"
	opRetry  = "retry"
	opWrite  = "write"
	opRead   = "read"       // linearizable
	opStale  = "stale-read" // from the node's own state
)

// Values of a register. "" stands for the answer that is not known. A canceled job's is CANCELED, a colon and the canceler's token; a queue's is the token
// that was written.
const (
	absent   = "absent"
	running  = "RUNNING"
	canceled = "CANCELED"
)

// Answers that say what the register holds, or held.
const (
	created  = "created"
	existing = "existing"
	notFound = "NOT_FOUND"
	notEnded = "NOT_ENDED"
)

// queuePrefix begins the keys of queues; those of jobs are ids.
const queuePrefix = "queue/"

func isQueue(key string) bool { return strings.HasPrefix(key, queuePrefix) }

func queueOf(key string) *apiv1.QueueName {
	return &apiv1.QueueName{Namespace: "default", Queue: strings.TrimPrefix(key, queuePrefix)}
}

// parkedGraph is a job of one task in a queue that no worker serves: it never ends by itself.
var parkedGraph = func() []byte {
	b := dag.NewBuilder("chaos.parked")
	b.Output(b.Task("parked", dag.Step{Task: "chaos.parked", Input: dag.Input(), Options: dag.Options{Queue: "parked"}}))
	g, err := b.Build()
	if err != nil {
		panic(err) // it is the same always
	}
	return dag.Encode(g)
}()

// callAt has one node do an operation, once.
func callAt(ctx context.Context, c *sdk.Client, address string, op *history.Op) error {
	api, err := c.At(address)
	if err != nil {
		return err
	}
	switch {
	case op.Kind == opRead || op.Kind == opStale:
		err = readAt(ctx, api, op)
		if op.Answer = cmp.Or(op.Answer, codeOf(err)); op.Answer == notFound {
			op.Answer, err = absent, nil // that there is none is a value, too
		}
		return err
	case op.Kind == opCreate:
		return createAt(ctx, api, op)
	case op.Kind == opWrite:
		ms, err := strconv.ParseInt(op.Value, 10, 64)
		if err != nil {
			return err
		}
		res, err := api.SetQueue(ctx, connect.NewRequest(&apiv1.SetQueueRequest{Name: queueOf(op.Key), Settings: &apiv1.QueueSettings{AgeingMs: &ms}}))
		if err == nil {
			op.Index, op.Answer = res.Msg.GetIndex(), op.Value
		}
		return err
	case op.Kind == opCancel:
		res, err := api.CancelJob(ctx, connect.NewRequest(&apiv1.CancelJobRequest{Id: op.Key, Reason: op.Value}))
		if err == nil {
			op.Index, op.Answer = res.Msg.GetIndex(), res.Msg.GetState()
		}
		op.Answer = cmp.Or(op.Answer, codeOf(err))
		return err
	}
	res, err := api.RetryJob(ctx, connect.NewRequest(&apiv1.RetryJobRequest{Id: op.Key}))
	if err == nil {
		op.Index, op.Answer = res.Msg.GetIndex(), res.Msg.GetState()
	}
	op.Answer = cmp.Or(op.Answer, codeOf(err))
	return err
}

func createAt(ctx context.Context, api apiv1connect.FanfoldClient, op *history.Op) error {
	res, err := api.SubmitJobs(ctx, connect.NewRequest(&apiv1.SubmitJobsRequest{Jobs: []*apiv1.Job{{
		Id: op.Key, Graph: parkedGraph, Input: &apiv1.Value{Inline: []byte("null")}, RetainMs: retainMS,
	}}}))
	if err != nil {
		return err
	}
	made := res.Msg.GetResults()[0]
	if refused := made.GetError(); refused != nil {
		return &sdk.APIError{Code: refused.GetCode(), Message: refused.GetMessage()}
	}
	op.Index, op.Answer = res.Msg.GetIndex(), created
	if made.GetExisting() {
		op.Answer = existing
	}
	return nil
}

// retainMS keeps ended jobs to the end of the run, whatever the clocks say.
const retainMS = 30 * 24 * 3_600_000

func readAt(ctx context.Context, api apiv1connect.FanfoldClient, op *history.Op) error {
	consistency := apiv1.Consistency_CONSISTENCY_LINEARIZABLE
	if op.Kind == opStale {
		consistency = apiv1.Consistency_CONSISTENCY_STALE
	}
	if isQueue(op.Key) {
		res, err := api.GetQueue(ctx, connect.NewRequest(&apiv1.GetQueueRequest{Name: queueOf(op.Key), Consistency: consistency}))
		if err == nil {
			op.Index, op.Answer = res.Msg.GetIndex(), strconv.FormatInt(res.Msg.GetQueue().GetSettings().GetAgeingMs(), 10)
		}
		return err
	}
	res, err := api.GetJob(ctx, connect.NewRequest(&apiv1.GetJobRequest{Id: op.Key, Consistency: consistency}))
	if err == nil {
		op.Index, op.Answer = res.Msg.GetIndex(), res.Msg.GetJob().GetState()
		if op.Answer == canceled {
			op.Answer += ":" + res.Msg.GetJob().GetCancelReason()
		}
	}
	return err
}
