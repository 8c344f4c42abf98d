package engine

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// class is a request's place in the order of service.
type class int

const (
	// urgent: what frees slots and ends things (reports, session closes, cancels). It goes first, so
	// that an overloaded cluster finishes work rather than collecting more of it.
	urgent class = iota
	// bulk: what brings work in (submissions, chunks).
	bulk
	classes
)

func (c class) String() string { return [...]string{"report queue", "submit queue"}[c] }

// request is the commands of one call or stream message on their way through the log. It is made by
// a caller and owned by the loop from the push into the inbox until settle.
//
// Invariant: 0 <= next <= len(ends); left is the number of commands without an answer.
type request struct {
	frames  []byte // the commands, framed, one after another
	ends    []int  // where each ends in frames
	next    int    // first command that is in no entry yet
	left    int
	answers []fsm.Answer
	index   uint64 // of the entry that held the last command
	opens   *Stream
	reply   reply
	gone    atomic.Bool // the caller has left; what was not proposed need not be
}

// reply gets the outcome of a request, from the loop: it must not block.
type reply interface{ settle(r *request, err error) }

// callerReply wakes a waiting caller. Capacity 1: settled once.
type callerReply chan error

func (c callerReply) settle(_ *request, err error) { c <- err }

// noReply is for requests of the engine itself.
type noReply struct{}

func (noReply) settle(*request, error) {}

func newRequest(cmds []*fsmpb.Command, to reply) (*request, error) {
	frames, ends, err := frame(cmds)
	if err != nil {
		return nil, err
	}
	return &request{frames: frames, ends: ends, left: len(ends), reply: to}, nil
}

// start is where the first command that is in no entry yet begins.
func (r *request) start() int {
	if r.next == 0 {
		return 0
	}
	return r.ends[r.next-1]
}

// answer takes the answers of the next commands in log order. The common case, a request whose
// commands share an entry, keeps the result's own slice.
func (r *request) answer(index uint64, part []fsm.Answer) {
	r.index = index
	r.left -= len(part)
	if r.answers == nil {
		r.answers = part[:len(part):len(part)]
		return
	}
	r.answers = append(r.answers, part...)
}

// do sends commands through the log and waits for all their answers.
func (e *Engine) do(ctx context.Context, c class, cmds ...*fsmpb.Command) (*request, error) {
	reply := make(callerReply, 1)
	r, err := newRequest(cmds, reply)
	if err != nil {
		return nil, err
	}
	return r, e.send(ctx, c, r, reply)
}

func (e *Engine) send(ctx context.Context, c class, r *request, reply callerReply) error {
	if err := e.inbox.push(c, r); err != nil {
		return err
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		r.gone.Store(true)
		return fmt.Errorf("%w (%w)", ErrOutcomeUnknown, context.Cause(ctx))
	}
}

// one sends a single command and returns its answer, a refusal as an error.
func (e *Engine) one(ctx context.Context, c class, cmd *fsmpb.Command) (fsm.Answer, uint64, error) {
	r, err := e.do(ctx, c, cmd)
	if err != nil {
		return fsm.Answer{}, 0, err
	}
	a := r.answers[0]
	if a.Refusal != nil {
		return a, r.index, a.Refusal
	}
	return a, r.index, nil
}
