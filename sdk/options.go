package sdk

import (
	"fmt"
	"math"
	"time"

	"github.com/fanfold/fanfold/dag"
)

// Options are typed by the place where they make sense: each verb takes its own option interface, and
// an option's type implements exactly those of the places where it works. So MaxParallel in a Then is
// an error of the compiler, not of the night. Where an option is given twice, the nearest to the step
// wins: step, then task, then workflow. A submission's options are for all steps, and win over all.

// TaskOption goes with NewTask, Declare and With.
type TaskOption interface{ taskOption(*settings) }

// WorkflowOption goes with NewWorkflow, and is the default of all its steps.
type WorkflowOption interface{ workflowOption(*settings) }

// StepOption goes with Then.
type StepOption interface{ stepOption(*settings) }

// EachOption goes with Each and EachSettled.
type EachOption interface{ eachOption(*settings) }

// FoldOption goes with Fold and FoldTo.
type FoldOption interface{ foldOption(*settings) }

// AnyOption makes sense for a task, a workflow, every kind of step, and a submission.
type AnyOption func(*settings)

func (o AnyOption) taskOption(s *settings)     { o(s) }
func (o AnyOption) workflowOption(s *settings) { o(s) }
func (o AnyOption) stepOption(s *settings)     { o(s) }
func (o AnyOption) eachOption(s *settings)     { o(s) }
func (o AnyOption) foldOption(s *settings)     { o(s) }

// StepOnly makes sense for every kind of step, and not for a task by itself.
type StepOnly func(*settings)

func (o StepOnly) stepOption(s *settings) { o(s) }
func (o StepOnly) eachOption(s *settings) { o(s) }
func (o StepOnly) foldOption(s *settings) { o(s) }

// SpreadOnly makes sense for the steps that have many tasks.
type SpreadOnly func(*settings)

func (o SpreadOnly) eachOption(s *settings) { o(s) }
func (o SpreadOnly) foldOption(s *settings) { o(s) }

// EachOnly makes sense for Each and EachSettled.
type EachOnly func(*settings)

func (o EachOnly) eachOption(s *settings) { o(s) }

// FoldOnly makes sense for Fold and FoldTo.
type FoldOnly func(*settings)

func (o FoldOnly) foldOption(s *settings) { o(s) }

// settings is what options write into: the options of the graph's step, and what only the builder reads.
type settings struct {
	options dag.Options
	name    string   // StepName
	after   []anchor // After
	job     []JobOption
	errs    []error
}

func (s *settings) fail(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

// RetryPolicy says what happens after an attempt has returned an error. The zero value of each field
// means its default. A worker that is lost is not a failed attempt: it counts towards CrashLimit.
type RetryPolicy struct {
	// MaxAttempts counts the first try. Default 25, limit 10,000.
	MaxAttempts int
	// First is the delay after the first failure. Default 0: the curve n^4 + 15 s.
	First time.Duration
	// Factor multiplies the delay with each failure. Default 2.
	Factor float64
	// Cap bounds one delay. Default 24 h.
	Cap time.Duration
	// Jitter takes a random part of up to this fraction from each delay, 0 to 1. Default 0.1; a negative
	// value turns it off.
	Jitter float64
	// CrashLimit is how many times a task may lose its worker. Default 3.
	CrashLimit int
	// Deadline ends the series: no attempt begins later than this after the first one began. Default 0: no
	// bound.
	Deadline time.Duration
	// PermanentOn are types of errors after which no further attempt is made, as people see them in the
	// errors of attempts: "*fs.PathError". At most 100.
	PermanentOn []string
	// DiscardOn are types of errors that do what Discard does. At most 100.
	DiscardOn []string
}

// Retry sets the retry policy as a whole: fields that are zero in p mean their defaults.
func Retry(p RetryPolicy) AnyOption {
	return func(s *settings) { s.options.Retry = p.convert(s) }
}

// NoRetry makes the first failure final. The crash limit keeps its default.
func NoRetry() AnyOption { return Retry(RetryPolicy{MaxAttempts: 1}) }

func (p RetryPolicy) convert(s *settings) dag.Retry {
	if p.MaxAttempts < 0 || p.MaxAttempts > 10_000 {
		s.fail("Retry: MaxAttempts %d is not between 1 and 10,000 (0: default 25)", p.MaxAttempts)
	}
	if p.CrashLimit < 0 || p.CrashLimit > 10_000 {
		s.fail("Retry: CrashLimit %d is not between 1 and 10,000 (0: default 3)", p.CrashLimit)
	}
	if p.First < 0 || p.Cap < 0 || p.Deadline < 0 {
		s.fail("Retry: a time is negative: First %v, Cap %v, Deadline %v", p.First, p.Cap, p.Deadline)
	}
	if p.Factor != 0 && (!(p.Factor >= 1) || p.Factor > 1000) {
		s.fail("Retry: Factor %v is not between 1 and 1,000 (0: default 2)", p.Factor)
	}
	if p.Jitter > 1 || math.IsNaN(p.Jitter) {
		s.fail("Retry: Jitter %v is more than 1", p.Jitter)
	}
	if len(s.errs) > 0 {
		return dag.Retry{}
	}
	r := dag.Retry{
		MaxAttempts: uint32(p.MaxAttempts),
		CrashLimit:  uint32(p.CrashLimit),
		FirstMS:     milliseconds(p.First),
		FactorMilli: uint32(math.Round(p.Factor * 1000)),
		CapMS:       milliseconds(p.Cap),
		DeadlineMS:  milliseconds(p.Deadline),
		PermanentOn: p.PermanentOn,
		DiscardOn:   p.DiscardOn,
	}
	switch {
	case p.Jitter < 0:
		r.JitterPercent = -1
	case p.Jitter > 0:
		r.JitterPercent = max(1, int32(math.Round(p.Jitter*100)))
	}
	return r
}

// milliseconds rounds up, so that a small positive duration does not become the default.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// Timeout bounds one attempt: then its context ends with context.DeadlineExceeded. A function that returns a
// result within 10 s of that is forgiven, and the result counts; one that has not returned by then is given up:
// the attempt has failed, while the function runs on. Default 0: no bound. Resolution 1 ms.
func Timeout(d time.Duration) AnyOption {
	return func(s *settings) {
		if d < 0 {
			s.fail("Timeout(%v) is negative", d)
			return
		}
		s.options.TimeoutMS = milliseconds(d)
	}
}

// Queue names the lane that the tasks wait in. Default "default".
func Queue(name string) AnyOption {
	return func(s *settings) {
		if !validName(name) {
			s.fail("Queue(%q): %s", name, nameRule)
			return
		}
		s.options.Queue = name
	}
}

// Priority orders the tasks of a queue: 0 goes first, 9 last. Default 5.
func Priority(n int) AnyOption {
	return func(s *settings) {
		if n < 0 || n > 9 {
			s.fail("Priority(%d) is not between 0 and 9", n)
			return
		}
		s.options.Priority = uint8(n + 1) // stored one higher, because 0 means the default there
	}
}

// StepName names the step where people see it: in progress, errors, metrics. Unique in the workflow.
// Default: the task's name, with -2, -3 ... for its second and later uses. For a nested workflow it
// is the prefix of its steps.
func StepName(name string) StepOnly {
	return func(s *settings) {
		if !validName(name) {
			s.fail("StepName(%q): %s", name, nameRule)
			return
		}
		s.name = name
	}
}

// After makes a step wait for the steps behind refs although no value of theirs goes into it.
func After(refs ...Anchor) StepOnly {
	return func(s *settings) {
		for _, r := range refs {
			s.after = append(s.after, r.anchor())
		}
	}
}

// MaxParallel bounds how many tasks of the step are leased or waiting for a retry at once. Default
// and limit 10,000.
func MaxParallel(n int) SpreadOnly {
	return func(s *settings) {
		if n < 1 || n > 10_000 {
			s.fail("MaxParallel(%d) is not between 1 and 10,000", n)
			return
		}
		s.options.MaxParallel = uint32(n)
	}
}

// Tolerate lets up to n items of an Each die without failing the job; they are missing in the list
// of results. Default 0.
func Tolerate(n int) EachOnly {
	return func(s *settings) {
		if n < 0 {
			s.fail("Tolerate(%d) is negative", n)
			return
		}
		s.options.Tolerate = uint64(n)
	}
}

// FanIn is how many values one task of a fold takes. Default 16, from 2 to 1,000.
func FanIn(k int) FoldOnly {
	return func(s *settings) {
		if k < 2 || k > 1000 {
			s.fail("FanIn(%d) is not between 2 and 1,000", k)
			return
		}
		s.options.FanIn = uint32(k)
	}
}

const nameRule = "a name has 1 to 255 characters of A-Z a-z 0-9 . _ / -"

func validName(s string) bool {
	if len(s) == 0 || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '/', c == '-':
		default:
			return false
		}
	}
	return true
}
