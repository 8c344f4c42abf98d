package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// The register workload takes the API as registers, each with a key, and calls every node by itself, without the
// client's retries: what is under test is what one call promises. There are two kinds:
//
//   - a job that nobody runs is a register with conditional changes: cancel changes RUNNING into CANCELED with the
//     reason that the canceler gives, retry changes CANCELED into RUNNING and is refused on a running job;
//   - the ageing of a queue is a plain register: written, and read.
//
// Clients ask any node and lose patience early. Beside them are some that stay with one node, with long rests and
// much patience: while it is paused, or cut off, more and more of them wait for its answer, which another leader's
// writes may have overtaken by then.
const (
	jobSlots, queueSlots = 12, 4
	// keyOpsMax bounds the operations on one key: the search for an order is exponential in what overlaps.
	keyOpsMax   = 180
	roamTimeout = 1500 * time.Millisecond
	roamRest    = 60 * time.Millisecond // at most, between two operations of a client
	stayers     = 6                     // at each node
	stayTimeout = 8 * time.Second
	stayRest    = 3 * time.Second
)

func init() {
	register(Workload{
		Name:   "register",
		About:  "clients create, cancel, retry and read jobs that nobody runs, and set and read queues, each on every node: registers that have to be linearizable",
		Units:  func(string) []sdk.Registrable { return []sdk.Registrable{echoTask} },
		Run:    runRegister,
		Settle: settleRegister,
		Check:  checkRegister,
	})
}

// slot holds one key at a time.
type slot struct {
	number int

	mu   sync.Mutex
	key  string
	ops  int
	made bool // its creation was acknowledged
	r    *rand.Rand
}

func (s *slot) isJob() bool { return s.number < jobSlots }

// take counts an operation on the slot's key. A key that has had its operations gives way to another.
func (s *slot) take() (key string, made bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops == keyOpsMax || s.key == "" {
		s.ops, s.made = 0, false
		if s.key = sdk.NewJobID(); !s.isJob() {
			s.key = fmt.Sprintf("%s%d-%08x", queuePrefix, s.number, s.r.Uint32())
		}
	}
	s.ops++
	return s.key, s.made
}

func (s *slot) created(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = s.made || s.key == key
}

func runRegister(ctx context.Context, l *Load) error {
	slots := make([]*slot, jobSlots+queueSlots)
	for i := range slots {
		slots[i] = &slot{number: i, r: rand.New(rand.NewPCG(l.Seed, uint64(1000+i)))}
	}
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			a := &asker{l: l, name: "c" + strconv.Itoa(c), number: c, slots: slots, r: rand.New(rand.NewPCG(l.Seed, uint64(c)))}
			for rest(ctx, roamRest) {
				a.roam(ctx)
			}
		})
	}
	for i := range stayers * len(l.Site.Nodes) {
		clients.Go(func() {
			node := i % len(l.Site.Nodes)
			name := fmt.Sprintf("%s-%d", l.Site.Nodes[node].ID, i/len(l.Site.Nodes))
			a := &asker{l: l, name: name, slots: slots, r: rand.New(rand.NewPCG(l.Seed, uint64(100+i)))}
			for rest(ctx, stayRest) {
				a.stay(ctx, node)
			}
		})
	}
	clients.Wait()
	return nil
}

// asker is one client.
type asker struct {
	l      *Load
	name   string
	number int
	slots  []*slot
	r      *rand.Rand
	tokens int
}

// rest waits for a random part of a time, and reports whether the run goes on.
func rest(ctx context.Context, most time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(most)):
		return true
	}
}

// pick chooses a slot: often the one that all clients choose at the moment, so that their calls overlap.
func (a *asker) pick() *slot {
	if a.r.IntN(2) == 0 {
		return a.slots[int(a.l.History.Now()/(200*time.Millisecond))%len(a.slots)]
	}
	return a.slots[a.r.IntN(len(a.slots))]
}

// roam asks any node for anything.
func (a *asker) roam(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roamTimeout)
	defer cancel()
	s := a.pick()
	key, made := s.take()
	kind := opRead
	switch n := a.r.IntN(10); {
	case s.isJob() && !made:
		kind = []string{opCreate, opCreate, opRead, opCancel, opRetry}[n/2]
	case s.isJob() && n < 2:
		kind = opCancel
	case s.isJob() && n < 4:
		kind = opRetry
	case n < 4:
		kind = opWrite
	case n < 6:
		kind = opStale
	}
	if a.ask(ctx, kind, a.r.IntN(len(a.l.Site.Nodes)), key) == nil && kind == opCreate {
		s.created(key)
	}
}

// stay reads from one node.
func (a *asker) stay(ctx context.Context, node int) {
	ctx, cancel := context.WithTimeout(ctx, stayTimeout)
	defer cancel()
	kind := opRead
	if a.r.IntN(3) == 0 {
		kind = opStale
	}
	key, _ := a.pick().take()
	_ = a.ask(ctx, kind, node, key)
}

// ask asks a node, once. A change is given a token, which it leaves behind and no other does.
func (a *asker) ask(ctx context.Context, kind string, node int, key string) error {
	n := a.l.Site.Nodes[node]
	op := history.Op{Client: a.name, Kind: kind, Key: key, Node: n.ID}
	if kind == opCancel || kind == opWrite {
		a.tokens++
		op.Value = strconv.Itoa((a.number+1)*1_000_000 + a.tokens)
	}
	_, err := a.l.Ask(op, func(op *history.Op) error { return callAt(ctx, a.l.Client, n.API, op) })
	return err
}

// settleRegister has every kind of operation succeed once more, on every node.
func settleRegister(ctx context.Context, l *Load) error {
	for i, n := range l.Site.Nodes {
		a := &asker{l: l, name: "settle", number: 1000 + i}
		job, queue := sdk.NewJobID(), queuePrefix+"settle-"+n.ID
		for _, op := range [][2]string{{opCreate, job}, {opCancel, job}, {opRetry, job}, {opRead, job}, {opWrite, queue}, {opRead, queue}, {opStale, queue}} {
			if err := a.insist(ctx, op[0], i, op[1]); err != nil {
				return fmt.Errorf("%s on node %s after healing: %w", op[0], n.ID, err)
			}
		}
	}
	return nil
}

// insist repeats an operation, each time as another one, until it succeeds. A retry that is refused has happened
// before, without an answer.
func (a *asker) insist(ctx context.Context, kind string, node int, key string) error {
	for {
		err := a.ask(ctx, kind, node, key)
		if err == nil || codeOf(err) == notEnded {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
