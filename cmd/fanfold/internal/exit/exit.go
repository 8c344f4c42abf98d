// Package exit names the exit codes of the fanfold command and carries them in errors. The table in
// docs/cli.md is tested against this file.
package exit

import (
	"context"
	"errors"
	"fmt"
)

// Code is what the process returns to its caller. The numbers are promised: append only.
type Code int

const (
	OK          Code = 0
	Failure     Code = 1 // any error that has no code of its own
	Usage       Code = 2 // wrong command, flag or argument; nothing was done
	JobFailed   Code = 3
	JobCanceled Code = 4
	NotFound    Code = 5
	Conflict    Code = 6  // the thing is there already and differs, or is in use
	WaitOver    Code = 7  // the time given by --timeout is over; the job goes on
	Unavailable Code = 8  // no node, or no leader, can be reached
	Invariant   Code = 70 // a server found its own state broken, and stopped
	LogStore    Code = 71 // a server's log store failed or stalled
	StateStore  Code = 72 // a server's state store failed
	TooNew      Code = 73 // the log holds what this version cannot apply
	Divergence  Code = 74 // a replica's state hash differs
	Corruption  Code = 75 // a stored checksum does not match
	Interrupted Code = 130
)

// Error is an error that chooses the exit code. Hint, when set, is the next step for the user,
// printed on a line of its own.
type Error struct {
	Code Code
	Hint string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// With gives err an exit code and a next step ("" for none). A nil err stays nil.
func With(code Code, hint string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Hint: hint, Err: err}
}

// Usagef makes an error of wrong usage.
func Usagef(format string, args ...any) error {
	return &Error{Code: Usage, Err: fmt.Errorf(format, args...)}
}

// Of returns the code and the next step that err carries.
func Of(err error) (Code, string) {
	var coded *Error
	switch {
	case err == nil:
		return OK, ""
	case errors.As(err, &coded):
		return coded.Code, coded.Hint
	case errors.Is(err, context.Canceled):
		return Interrupted, ""
	}
	return Failure, ""
}
