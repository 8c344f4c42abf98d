package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// transient reports whether another node, or a later moment, may give another answer.
func transient(err error) bool {
	if info := Info(err); info != nil {
		switch info.GetCode() {
		case "NOT_LEADER", "NO_LEADER", "OUTCOME_UNKNOWN", "OVERLOADED":
			return true
		}
		return false
	}
	// What was not sent by a node comes from the connection: refused, reset, ended.
	var failed *connect.Error
	return errors.As(err, &failed) && (failed.Code() == connect.CodeUnavailable || !connect.IsWireError(err))
}

// Passing reports whether an error that Call returned may be gone a moment later.
func Passing(err error) bool {
	code, _ := exit.Of(err)
	return code == exit.Unavailable || code == exit.WaitOver
}

// explain gives an error of the API the exit code and next step that the user sees.
func (c *Client) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || connect.CodeOf(err) == connect.CodeDeadlineExceeded {
		return interrupted(ctx, err)
	}
	if info := Info(err); info != nil {
		return Refused(info)
	}
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return err
	}
	if transient(err) {
		return exit.With(exit.Unavailable,
			"start a node with `fanfold dev`, or name the nodes by --address or FANFOLD_ADDR (host:port,host:port)",
			fmt.Errorf("no node answers at %s: %s", strings.Join(c.addresses, ", "), failed.Message()))
	}
	return fmt.Errorf("%s: %s", failed.Code(), failed.Message())
}

// interrupted explains a call that was given up. A node knows the caller's deadline, and may say a moment
// before the caller does that it is over.
func interrupted(ctx context.Context, err error) error {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return exit.With(exit.WaitOver, "", errors.New("the time given by --timeout is over"))
	}
	return exit.With(exit.Interrupted, "", err)
}

// Refused turns an answer of the cluster into an error with the fitting exit code.
func Refused(info *apiv1.ErrorInfo) error {
	err := errors.New(info.GetMessage())
	if info.GetMessage() == "" {
		err = errors.New(info.GetCode())
	}
	switch info.GetCode() {
	case "NOT_FOUND":
		return exit.With(exit.NotFound, whereToLook(info.GetMessage()), err)
	case "INVALID", "TOO_LARGE":
		return exit.With(exit.Usage, "", err) // the message says what to mend
	case "CONFLICT", "EXISTS", "QUEUE_DRAINING", "TYPE_MISMATCH":
		return exit.With(exit.Conflict, "", err)
	case "NOT_ENDED":
		return exit.With(exit.Conflict, "wait for it by `fanfold job watch`, or stop it by `fanfold job cancel`", err)
	case "NO_LEADER", "NOT_LEADER":
		return exit.With(exit.Unavailable, "a majority of the nodes must be running; see `fanfold cluster status`", err)
	case "OVER_BUDGET":
		return exit.With(exit.Unavailable, "try again when jobs have ended; `fanfold queue show` and `fanfold cluster budget` say what there is", err)
	case "OVERLOADED":
		return exit.With(exit.Unavailable, "try again in a moment", err)
	case "OUTCOME_UNKNOWN":
		return exit.With(exit.Unavailable, "the same command may be repeated safely", err)
	}
	return exit.With(exit.Failure, "", err)
}

// whereToLook is the next step after an answer that there is no such thing, "" when the answer says it.
func whereToLook(message string) string {
	if strings.Contains(message, "`fanfold") {
		return ""
	}
	for what, command := range map[string]string{"no redrive ": "dead redrives", "no batch ": "batch list", "no job ": "job list"} {
		if strings.Contains(message, what) {
			return "see `fanfold " + command + "`"
		}
	}
	return ""
}
