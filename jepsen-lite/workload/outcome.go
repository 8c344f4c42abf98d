package workload

import (
	"context"
	"errors"
	"net"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// outcomeOf says what a client knows after an error: refusals are certain, everything else is not. Of a call
// that was tried several times the client of the SDK says itself whether a try may have had its effect: then the
// error is ErrOutcomeUnknown, whatever else it is. Invariant S6 holds every certain failure against the log.
func outcomeOf(err error) history.Outcome {
	switch {
	case err == nil:
		return history.OK
	case errors.Is(err, sdk.ErrOutcomeUnknown):
		return history.Unknown
	case certain[codeOf(err)], unreachable(err):
		return history.Fail
	}
	// A deadline is certain, too, when nobody was reached until then.
	for _, refused := range []error{sdk.ErrNoLeader, sdk.ErrOverloaded, sdk.ErrNotFound, sdk.ErrInvalid, sdk.ErrConflict, sdk.ErrTooLarge, sdk.ErrNotEnded} {
		if errors.Is(err, refused) {
			return history.Fail
		}
	}
	return history.Unknown
}

// certain are the codes after which nothing was done.
var certain = map[string]bool{
	"NOT_LEADER": true, "NO_LEADER": true, "OVERLOADED": true, "NOT_FOUND": true, "INVALID": true, "CONFLICT": true, "TOO_LARGE": true,
	"TYPE_MISMATCH": true, "NOT_ENDED": true, "QUEUE_DRAINING": true, "OVER_BUDGET": true, "EXISTS": true,
}

// codeOf is the stable code of an error that a node has answered, or the SDK in its place; "": none has.
func codeOf(err error) string {
	var api *sdk.APIError
	if errors.As(err, &api) {
		return api.Code
	}
	if errors.Is(err, sdk.ErrInvalid) {
		return "INVALID"
	}
	var wire *connect.Error
	if !errors.As(err, &wire) {
		return ""
	}
	for _, d := range wire.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*apiv1.ErrorInfo); ok {
				return info.GetCode()
			}
		}
	}
	return ""
}

// unreachable reports whether there was no connection to send the call on. A dial that the caller's deadline
// ends is none: the call may have been sent on another connection before.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}
