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
	Failure     Code = 1
	Usage       Code = 2
	JobFailed   Code = 3
	JobCanceled Code = 4
	NotFound    Code = 5
	Conflict    Code = 6
	WaitOver    Code = 7
	Unavailable Code = 8
	Invariant   Code = 70
	LogStore    Code = 71
	StateStore  Code = 72
	TooNew      Code = 73
	Divergence  Code = 74
	Corruption  Code = 75
	Interrupted Code = 130
)

// Codes is what each code means, in ascending order.
var Codes = []struct {
	Code    Code
	Meaning string
}{
	{OK, "success"},
	{Failure, "any error that has no code of its own"},
	{Usage, "wrong command, flag, argument or input; nothing was done"},
	{JobFailed, "the job that was waited for has failed"},
	{JobCanceled, "the job that was waited for was canceled"},
	{NotFound, "there is no such job, step or node"},
	{Conflict, "it exists and differs, is in use, or is not in a state that allows this"},
	{WaitOver, "the time given by --timeout is over; the job goes on"},
	{Unavailable, "no node, or no leader, can be reached"},
	{Invariant, "a node found a rule of the program broken: a bug"},
	{LogStore, "a node could not write its log or its vote, or the disk hung"},
	{StateStore, "a node could not write its state, or the disk hung"},
	{TooNew, "a node's data was written by a newer version"},
	{Divergence, "a replica's state differs from the others'"},
	{Corruption, "what is on a node's disk is damaged or incomplete"},
	{Interrupted, "interrupted by a signal"},
}

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
