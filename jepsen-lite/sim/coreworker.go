package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// coreWorker is a worker at an engine's streams.
type coreWorker struct {
	w       *coreWorld
	chance  *rand.Rand
	session uint64
	stream  *engine.Stream
	at      *engine.Engine // of stream
	held    map[fsm.Fence]*coreTask
	order   []fsm.Fence // of held
	lost    []*coreTask // of sessions that are over: it may report them all the same
}

type coreTask struct {
	grant fsm.Grant
	due   time.Time
	fate  int
	sent  bool
}

// work is a worker, until the end.
func (w *coreWorld) work(i int) {
	k := &coreWorker{w: w, chance: dice(w.plan.Seed, purpose("worker", i)), held: map[fsm.Fence]*coreTask{}}
	for w.stop.Err() == nil {
		time.Sleep(time.Duration(10+k.chance.IntN(40)) * time.Millisecond)
		w.mu.Lock()
		blind, e := w.cut[i], w.engine
		w.mu.Unlock()
		if blind || e == nil {
			continue
		}
		if k.stream == nil || k.at != e {
			k.connect(e)
		}
		if k.stream != nil {
			k.turn()
		}
	}
	if k.stream != nil {
		k.stream.Detach()
	}
}

func (k *coreWorker) connect(e *engine.Engine) {
	if k.stream != nil {
		k.stream.Detach()
		k.stream = nil
	}
	nonce := make([]byte, 16)
	binary.BigEndian.PutUint64(nonce, k.chance.Uint64())
	hello := engine.Hello{Session: k.session, Held: k.order, Open: &fsmpb.OpenSession{
		Namespace: "default", Worker: "w", TtlMs: k.w.plan.LeaseTTL.Milliseconds(), Nonce: nonce,
		Queues: []*fsmpb.QueueSlots{{Queue: "default", Slots: uint32(k.w.plan.Slots)}},
		Kinds:  []*fsmpb.TaskKind{{Name: "step"}, {Name: "item"}, {Name: limitedTask}, {Name: "stubborn"}},
	}}
	ctx, cancel := context.WithTimeout(k.w.stop, time.Second)
	defer cancel()
	s, welcome, err := e.OpenStream(ctx, hello)
	if err != nil {
		return
	}
	if !welcome.Resumed {
		k.abandon()
	}
	for _, f := range welcome.Drop {
		delete(k.held, f)
	}
	for _, t := range k.held {
		t.sent = false // the acknowledgement may have been lost
	}
	k.stream, k.at, k.session = s, e, welcome.Session
}

// abandon moves what the worker holds to what it has no right to any more.
func (k *coreWorker) abandon() {
	for _, f := range k.order {
		if t := k.held[f]; t != nil && k.chance.IntN(3) > 0 {
			k.lost = append(k.lost, t)
		}
	}
	clear(k.held)
	k.order = nil
}

// turn takes what there is and reports what is done.
func (k *coreWorker) turn() {
	k.stream.Heard()
	var o engine.Outgoing
	if err := k.stream.Take(&o); err != nil {
		if errors.Is(err, engine.ErrSessionClosed) {
			k.session = 0
			k.abandon()
		}
		k.stream = nil
		return
	}
	for _, g := range o.Grants {
		took := time.Duration(k.chance.IntN(60)) * time.Millisecond
		if k.chance.IntN(8) == 0 {
			took = time.Duration(k.chance.IntN(3000)) * time.Millisecond
		}
		k.held[g.Fence] = &coreTask{grant: g, due: time.Now().Add(took), fate: k.chance.IntN(30)}
		k.order = append(k.order, g.Fence)
	}
	for _, a := range o.Acks {
		for _, f := range a.Fences {
			delete(k.held, f)
		}
	}
	for _, r := range o.Revokes {
		if t := k.held[r.Fence]; t != nil {
			t.fate, t.due = released, time.Now()
		}
	}
	k.report()
}

// released is the fate of a task that is handed back.
const released = 4

func (k *coreWorker) report() {
	var cmds []*fsmpb.Command
	var fences []fsm.Fence
	add := func(t *coreTask) {
		cmds, fences = append(cmds, t.command()), append(fences, t.grant.Fence)
	}
	left := k.order[:0]
	for _, f := range k.order {
		t := k.held[f]
		if t == nil {
			continue
		}
		left = append(left, f)
		if !t.sent && time.Now().After(t.due) {
			t.sent = true
			add(t)
		}
	}
	k.order = left
	if len(k.lost) > 0 && k.chance.IntN(3) > 0 {
		add(k.lost[0])
		k.lost = k.lost[1:]
	}
	ctx, cancel := context.WithTimeout(k.w.stop, time.Second)
	defer cancel()
	if err := k.stream.Report(ctx, cmds, fences); err != nil {
		k.stream.Detach()
		k.stream = nil
	}
}

// command is the report of a task.
func (t *coreTask) command() *fsmpb.Command {
	g := t.grant
	session, fence, ref := g.Session, g.Fence.Proto(), g.Task.Proto()
	fail := &fsmpb.FailTask{Session: session, Fence: fence, Task: ref, Error: &fsmpb.Error{Type: "luck", Message: "bad"}}
	switch {
	case g.Kind == "stubborn" && g.Attempt == 1 && g.Crashes == 0 && t.fate%2 == 0:
		fail.Permanent = true
		return &fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: fail}}
	case t.fate == 0:
		return &fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: fail}}
	case t.fate == 1:
		fail.Snooze, fail.RetryAfterMs = true, 200
		return &fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: fail}}
	case t.fate == 2:
		fail.RetryAfterMs = 300
		return &fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: fail}}
	case t.fate == released:
		return &fsmpb.Command{Kind: &fsmpb.Command_ReleaseTask{ReleaseTask: &fsmpb.ReleaseTask{Session: session, Fence: fence, Task: ref}}}
	}
	return &fsmpb.Command{Kind: &fsmpb.Command_CompleteTask{CompleteTask: &fsmpb.CompleteTask{
		Session: session, Fence: fence, Task: ref, Result: &fsmpb.Value{Inline: []byte(`1`)}}}}
}
