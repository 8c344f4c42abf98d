package cluster

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// Codes of ErrorInfo that are not refusals of the state machine.
const (
	codeNotLeader      = "NOT_LEADER"
	codeNoLeader       = "NO_LEADER"
	codeOutcomeUnknown = "OUTCOME_UNKNOWN"
	codeOverloaded     = "OVERLOADED"
	codeInternal       = "INTERNAL"
)

// wireCodes is the one table from the stable codes to Connect's. Clients go by the stable code; the
// other is for tools that know only Connect and gRPC.
var wireCodes = map[string]connect.Code{
	codeNotLeader:                connect.CodeUnavailable,
	codeNoLeader:                 connect.CodeUnavailable,
	codeOutcomeUnknown:           connect.CodeAborted,
	codeOverloaded:               connect.CodeResourceExhausted,
	codeInternal:                 connect.CodeInternal,
	string(fsm.CodeNotFound):     connect.CodeNotFound,
	string(fsm.CodeInvalid):      connect.CodeInvalidArgument,
	string(fsm.CodeConflict):     connect.CodeAlreadyExists,
	string(fsm.CodeTooLarge):     connect.CodeOutOfRange,
	string(fsm.CodeTypeMismatch): connect.CodeFailedPrecondition,
	string(fsm.CodeStale):        connect.CodeFailedPrecondition,
	string(fsm.CodeNotEnded):     connect.CodeFailedPrecondition,
	string(fsm.CodeCanceled):     connect.CodeFailedPrecondition,

	string(fsm.CodeQueueDraining): connect.CodeFailedPrecondition,
	string(fsm.CodeOverBudget):    connect.CodeResourceExhausted,

	string(fsm.CodeWebhookPaused): connect.CodeUnavailable,
	string(fsm.CodeExists):        connect.CodeAlreadyExists,
}

// noLeaderRetryMS is about an election.
const noLeaderRetryMS = 100

// info says what an error is in the API's words. What it does not know is INTERNAL: the detail is for
// the operator's log only.
func (s *server) info(err error) *apiv1.ErrorInfo {
	var refusal *fsm.Refusal
	var over *engine.OverloadedError
	switch {
	case errors.As(err, &refusal):
		return &apiv1.ErrorInfo{Code: string(refusal.Code), Message: refusal.Message, RetryAfterMs: refusal.RetryAfterMS}
	case errors.As(err, &over):
		return &apiv1.ErrorInfo{Code: codeOverloaded, Message: over.Error(), RetryAfterMs: over.RetryAfter.Milliseconds()}
	case errors.Is(err, engine.ErrNotLeader):
		return s.notLeader()
	case errors.Is(err, engine.ErrOutcomeUnknown):
		return &apiv1.ErrorInfo{Code: codeOutcomeUnknown,
			Message: "the leader changed while the call was on its way; it may have taken effect: repeat it, which is safe"}
	case errors.Is(err, fsm.ErrNotFound):
		return &apiv1.ErrorInfo{Code: string(fsm.CodeNotFound), Message: "no such job; `fanfold job list` shows those there are"}
	case errors.Is(err, pebble.ErrClosed):
		return &apiv1.ErrorInfo{Code: codeNoLeader, RetryAfterMs: noLeaderRetryMS, Message: "this node is changing or closing its state; try again"}
	case errors.Is(err, engine.ErrSessionClosed):
		return &apiv1.ErrorInfo{Code: string(fsm.CodeStale), Message: "the session was closed; open a new one"}
	case errors.Is(err, engine.ErrStreamReplaced):
		return &apiv1.ErrorInfo{Code: string(fsm.CodeStale), Message: "a newer stream of the same session took over"}
	}
	s.logger.Error("internal error", "error", err)
	return &apiv1.ErrorInfo{Code: codeInternal, Message: "internal error; the log of the answering node says more"}
}

// notLeader names the leader. A node that Raft has made leader and whose engine is not ready yet must
// not name itself: its clients would come straight back.
func (s *server) notLeader() *apiv1.ErrorInfo {
	if leader, known := s.h.LeaderAPI(); known {
		if st := s.h.Status(); st.LeaderID != st.NodeID {
			return &apiv1.ErrorInfo{Code: codeNotLeader, Leader: leader, Message: "not the leader; ask " + leader}
		}
	}
	return &apiv1.ErrorInfo{Code: codeNoLeader, RetryAfterMs: noLeaderRetryMS, Message: "no leader is ready at the moment; try again"}
}

// fail makes an error of a handler the error that goes to the client.
func (s *server) fail(err error) error {
	var done *connect.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done):
		return done
	case errors.Is(err, context.Canceled) && !errors.Is(err, engine.ErrOutcomeUnknown):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, engine.ErrOutcomeUnknown):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	return wireError(s.info(err))
}

func wireError(info *apiv1.ErrorInfo) error {
	e := connect.NewError(wireCodes[info.Code], errors.New(info.Message))
	if d, err := connect.NewErrorDetail(info); err == nil {
		e.AddDetail(d)
	}
	return e
}

// refuse is a "no" of the edge, in the same form as one of the state machine.
func refuse(code fsm.Code, message string) *fsm.Refusal {
	return &fsm.Refusal{Code: code, Message: message}
}
