package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func TestOutcome_OnlyCertainFailuresFail(t *testing.T) {
	answered := func(code string) error {
		e := connect.NewError(connect.CodeUnavailable, errors.New("text"))
		d, err := connect.NewErrorDetail(&apiv1.ErrorInfo{Code: code})
		if err != nil {
			t.Fatal(err)
		}
		e.AddDetail(d)
		return fmt.Errorf("call: %w", e)
	}
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, c := range []struct {
		name string
		err  error
		want history.Outcome
	}{
		{"no error", nil, history.OK},
		{"a deadline", context.DeadlineExceeded, history.Unknown},
		{"a connection that broke", &net.OpError{Op: "read", Err: errors.New("reset")}, history.Unknown},
		{"a connection that was refused", connect.NewError(connect.CodeUnavailable, dial), history.Fail},
		{"a deadline while dialing", fmt.Errorf("%w: %w", dial, context.DeadlineExceeded), history.Unknown},
		{"no leader, says a node", answered("NO_LEADER"), history.Fail},
		{"not the leader, says a node", answered("NOT_LEADER"), history.Fail},
		{"unknown, says a node", answered("OUTCOME_UNKNOWN"), history.Unknown},
		{"internal, says a node", answered("INTERNAL"), history.Unknown},
		{"nobody was reached until the deadline", fmt.Errorf("%w: %w", sdk.ErrNoLeader, context.DeadlineExceeded), history.Fail},
		{"a try broke before nobody was reached", fmt.Errorf("%w: %w: %w", sdk.ErrOutcomeUnknown, context.DeadlineExceeded, sdk.ErrNoLeader), history.Unknown},
		{"overloaded until the deadline", fmt.Errorf("%w: %w", sdk.ErrOverloaded, context.DeadlineExceeded), history.Fail},
		{"refused", &sdk.APIError{Code: "CONFLICT"}, history.Fail},
	} {
		if got := outcomeOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
