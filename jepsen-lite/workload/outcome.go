package workload

import (
	"context"
	"errors"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// outcomeOf says what a client knows after an error: refusals are certain, everything else is not.
func outcomeOf(err error) history.Outcome {
	switch {
	case err == nil:
		return history.OK
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, sdk.ErrOutcomeUnknown):
		return history.Unknown
	}
	for _, refused := range []error{sdk.ErrNotFound, sdk.ErrInvalid, sdk.ErrConflict, sdk.ErrTooLarge, sdk.ErrNotEnded, sdk.ErrOverloaded, sdk.ErrNoLeader} {
		if errors.Is(err, refused) {
			return history.Fail
		}
	}
	return history.Unknown
}
