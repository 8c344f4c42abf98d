package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/fsm"
)

// Log is where an engine's entries go: Raft in a cluster, a LocalLog in tests and in a single process.
type Log interface {
	// Propose appends an entry. done is called exactly once, from any goroutine, when the entry has
	// been applied on this node, or with ErrNotLeader (definitely not appended) or ErrOutcomeUnknown.
	// The log keeps data. Propose must not wait for the disk or the network: the loop calls it.
	Propose(data []byte, done func(*fsm.Result, error))
	// VerifyLeader returns nil after a round to a quorum that began after the call confirmed that this
	// node leads.
	VerifyLeader(ctx context.Context) error
}

// Config says what an engine works on. Zero means default.
type Config struct {
	Log     Log          // required
	Machine *fsm.Machine // required: the state that Log's entries are applied to
	Logger  *slog.Logger // default: discard
	// Clock is the wall clock. Default time.Now.
	Clock func() time.Time
	// Depth is how many entries may be on their way at once. Default 2, limit 16. More gains at most
	// 6 % and multiplies the latency of a full pipeline (docs/performance.md).
	Depth int
	// EntryCommands bounds the commands of an entry. Default 1,000, limit 10,000.
	EntryCommands int
	// EntryBytes bounds an entry softly: a single larger command goes alone. Default 256 KiB, limit 8 MiB.
	EntryBytes int
	// QueueCommands and QueueBytes bound the submissions that wait for an entry; over it they are
	// refused with ErrOverloaded. Reports have a queue of the same bounds. Defaults 50,000 and 64 MiB.
	QueueCommands, QueueBytes int
	// Watched bounds the job ids that all waiters together wait for. Default 1,000,000.
	Watched int
}

func (c Config) withDefaults() Config {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	def(&c.Depth, 2)
	def(&c.EntryCommands, 1000)
	def(&c.EntryBytes, 256<<10)
	def(&c.QueueCommands, 50_000)
	def(&c.QueueBytes, 64<<20)
	def(&c.Watched, 1_000_000)
	return c
}

// validate reports every problem at once.
func (c Config) validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf("engine: "+format, args...))
		}
	}
	between := func(name string, v, least, most int) {
		check(v >= least && v <= most, "Config.%s is %d; it has to be from %d to %d", name, v, least, most)
	}
	check(c.Log != nil, "Config.Log is missing")
	check(c.Machine != nil, "Config.Machine is missing")
	between("Depth", c.Depth, 1, 16)
	between("EntryCommands", c.EntryCommands, 1, 10_000)
	between("EntryBytes", c.EntryBytes, 1, 8<<20)
	between("QueueCommands", c.QueueCommands, 1, 10_000_000)
	between("QueueBytes", c.QueueBytes, 1, 4<<30)
	between("Watched", c.Watched, 1, 100_000_000)
	return errors.Join(problems...)
}

// Engine is one term of leadership. Its methods are safe from any goroutine; they may be called
// before Run, and return ErrNotLeader after it.
type Engine struct {
	cfg   Config
	log   Log
	inbox *inbox
	stats stats
	ran   atomic.Bool
	born  time.Time // origin of mono

	webhooks chan struct{} // capacity 1: a delivery is due

	// What follows belongs to Run's goroutine.
	clock     *termClock
	got       delivery
	queues    [classes]queue
	flight    []*entry        // proposed, oldest first; at most Depth
	proposed  uint64          // entries of this term ...
	settled   uint64          // ... of these, applied
	doneC     chan outcome    // one for each entry in flight: capacity Depth, so that a send never waits
	verifiedC chan error      // answers of VerifyLeader: capacity 1, one check runs at a time
	timer     *time.Timer     // the next beat or deadline
	due       dueTimes        // ticker.go
	sessions  sessions        // sessions.go
	watched   registry        // waiter.go
	reads     reads           // read.go
	meter     meter           // batch.go
	dirty     []*Stream       // have something new in their outbox
	verifyCtx context.Context // of Run, for the goroutine that verifies
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	limit := load{cfg.QueueCommands, cfg.QueueBytes}
	return &Engine{
		cfg:       cfg,
		log:       cfg.Log,
		inbox:     newInbox([classes]load{urgent: limit, bulk: limit}),
		born:      time.Now(),
		doneC:     make(chan outcome, cfg.Depth),
		verifiedC: make(chan error, 1),
		webhooks:  make(chan struct{}, 1),
		watched:   newRegistry(cfg.Watched),
	}, nil
}

// Run leads for one term and blocks. It returns nil when ctx is cancelled, ErrOutcomeUnknown when
// the outcome of a proposal is not known and ErrNotLeader when one was refused; then the caller makes
// a new engine if this node still leads. All who wait are answered before it returns.
//
// Precondition: the machine has applied everything that was committed before this term (a barrier).
func (e *Engine) Run(ctx context.Context) error {
	if e.ran.Swap(true) {
		return errors.New("engine: Run was called twice; make a new Engine for a new term")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := e.begin(ctx)
	if err == nil {
		err = e.loop(ctx)
	}
	e.end(err)
	return err
}

// begin learns from the state what the term starts with.
func (e *Engine) begin(ctx context.Context) error {
	v := e.cfg.Machine.View()
	defer v.Close()
	all, err := v.Sessions()
	if err != nil {
		return fmt.Errorf("engine: read sessions: %w", err)
	}
	e.clock = newTermClock(e.cfg.Clock, v.NowMS())
	e.sessions.load(all, e.mono())
	if err := e.loadPulses(v); err != nil {
		return fmt.Errorf("engine: read leases: %w", err)
	}
	e.due.set(v.NextDueMS(), true) // what fell due between the terms is fired at once
	e.timer = time.NewTimer(0)
	e.verifyCtx = ctx
	return nil
}

func (e *Engine) loop(ctx context.Context) error {
	defer e.timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.inbox.wake:
			e.receive()
		case o := <-e.doneC:
			if err := e.settle(o); err != nil {
				return err
			}
		case err := <-e.verifiedC:
			e.verified(err)
		case <-e.timer.C:
			e.beat()
		}
		e.proposeOpen()
		e.wakeStreams()
		e.timer.Reset(e.untilNext())
	}
}

// mono is the monotonic time by which sessions are judged.
func (e *Engine) mono() time.Duration { return time.Since(e.born) }

// receive takes everything that callers have put in.
func (e *Engine) receive() {
	e.inbox.take(&e.got)
	for c := range e.got.requests {
		for _, r := range e.got.requests[c] {
			e.queues[c].push(r)
		}
	}
	for _, m := range e.got.messages {
		m.deliver(e)
	}
}

// untilNext is how long the loop may sleep when nothing happens.
func (e *Engine) untilNext() time.Duration {
	wait := e.due.wait(e.clock.nowMS(), len(e.flight))
	if len(e.sessions.byID) > 0 {
		wait = min(wait, e.sessions.untilBeat(e.mono()))
	}
	return wait
}

func (e *Engine) beat() {
	now := e.mono()
	if len(e.sessions.byID) > 0 && e.sessions.untilBeat(now) == 0 {
		gap := now - e.sessions.lastBeat
		e.closeSilent(now)
		e.endSilent(now, gap)
	}
}

// end answers everybody who still waits. What was proposed may commit yet; the rest is certain.
func (e *Engine) end(cause error) {
	left := e.inbox.close(ErrNotLeader)
	for _, en := range e.flight {
		for _, p := range en.parts {
			finish(p.r, ErrOutcomeUnknown)
		}
	}
	for c := range e.queues {
		for _, r := range append(e.queues[c].rest(), left.requests[c]...) {
			if r.next > 0 {
				finish(r, ErrOutcomeUnknown)
			} else {
				finish(r, ErrNotLeader)
			}
		}
	}
	for _, m := range left.messages {
		m.refuse(ErrNotLeader)
	}
	e.reads.end(ErrNotLeader)
	e.watched.end(ErrNotLeader)
	e.sessions.end(ErrNotLeader)
	if cause != nil {
		e.cfg.Logger.Warn("term ended", "cause", cause)
	}
}
