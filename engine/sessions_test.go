package engine

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const ttl = 10 * time.Second // of openCommand

// ended waits for a stream's end and returns its error.
func ended(s *Stream) error {
	var o Outgoing
	for {
		if err := s.Take(&o); err != nil {
			return err
		}
		if o.empty() {
			<-s.Ready()
		}
	}
}

func (w *world) counters() fsm.Counters {
	v := w.m.View()
	defer v.Close()
	return v.Counters()
}

func TestSession_ThatFallsSilentIsLostAndItsTaskGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		silent := w.connect(1, "a")
		w.submit(job(single(t, "a"), `1`))
		first := grants(t, silent, 1)[0]
		begin := time.Now()
		other := w.connect(1, "a")
		var heartbeats sync.WaitGroup
		defer heartbeats.Wait()
		heartbeats.Go(func() {
			for range 8 {
				time.Sleep(ttl / 4)
				other.Heard()
			}
		})
		again := grants(t, other, 1)[0]
		if d := time.Since(begin); d < ttl || d > ttl+2*beatEvery {
			t.Fatalf("granted again after %v", d)
		}
		if again.Task != first.Task || again.Crashes != 1 || again.Fence.Compare(first.Fence) <= 0 {
			t.Fatalf("%+v after %+v", again, first)
		}
		wantError(t, ended(silent), ErrSessionClosed)
		if c := w.counters(); c.SessionsLost != 1 || c.Crashes != 1 {
			t.Fatalf("%+v", c)
		}
		report(t, other, `1`, again)
		next(t, other)
	})
}

func TestSession_ThatIsHeardLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		for range 100 {
			time.Sleep(ttl - time.Second)
			s.Heard()
		}
		if c := w.counters(); c.SessionsLost != 0 {
			t.Fatalf("%+v", c)
		}
	})
}

func TestSession_ANewTermGivesAFullFreshTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		id := s.Session()
		time.Sleep(ttl - time.Second)
		if err := w.endTerm(); err != nil {
			t.Fatal(err)
		}
		wantError(t, ended(s), ErrNotLeader)
		w.begin()
		time.Sleep(ttl - time.Second)
		if c := w.counters(); c.SessionsLost != 0 {
			t.Fatalf("lost after %v of a new term", ttl-time.Second)
		}
		s, welcome, err := w.eng.OpenStream(w.ctx(), Hello{Session: id})
		if err != nil || !welcome.Resumed || welcome.Session != id || welcome.TTL != ttl {
			t.Fatalf("%+v, %v", welcome, err)
		}
		wantError(t, ended(s), ErrSessionClosed) // silent from here
	})
}

func TestSession_ThatDisconnectedHasItsTTLToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		time.Sleep(ttl / 2)
		s.Heard()
		s.Detach()
		time.Sleep(ttl - 2*time.Second)
		back, welcome, err := w.eng.OpenStream(w.ctx(), Hello{Session: s.Session()})
		if err != nil || !welcome.Resumed {
			t.Fatalf("%+v, %v", welcome, err)
		}
		back.Detach()
		time.Sleep(ttl - time.Second)
		if c := w.counters(); c.SessionsLost != 0 { // coming back counts as being heard
			t.Fatalf("%+v", c)
		}
		time.Sleep(2 * time.Second)
		_, welcome, err = w.eng.OpenStream(w.ctx(), Hello{Session: s.Session(), Held: []fsm.Fence{{Index: 3, Pos: 1}}, Open: openCommand(1, "a")})
		if err != nil || welcome.Resumed || welcome.Session == s.Session() || len(welcome.Drop) != 1 {
			t.Fatalf("%+v, %v", welcome, err)
		}
	})
}

// A pause of the process is a gap between two beats; it cannot be made inside a bubble.
func TestSessions_AfterAPauseTheSilentAreArmedAfresh(t *testing.T) {
	var s sessions
	s.load([]fsm.SessionView{{ID: 1, TTLMS: 10_000}, {ID: 2, TTLMS: 60_000}}, 0)
	now := time.Duration(0)
	beat := func(d time.Duration) (lost []uint64) {
		now += d
		for _, one := range s.silent(now) {
			lost = append(lost, one.id)
		}
		return lost
	}
	for now < 9*time.Second {
		if lost := beat(beatEvery); lost != nil {
			t.Fatalf("at %v: %v", now, lost)
		}
	}
	if lost := beat(20 * time.Second); lost != nil { // the process was stopped
		t.Fatalf("after the pause: %v", lost)
	}
	for now < 39*time.Second {
		if lost := beat(beatEvery); lost != nil {
			t.Fatalf("at %v: %v", now, lost)
		}
	}
	if lost := beat(beatEvery); len(lost) != 1 || lost[0] != 1 {
		t.Fatalf("10 s after the pause: %v", lost)
	}
	s.byID[1].closing = true
	for now < 60*time.Second {
		if lost := beat(beatEvery); lost != nil { // the longer TTL was not touched by the pause
			t.Fatalf("at %v: %v", now, lost)
		}
	}
	if lost := beat(beatEvery); len(lost) != 1 || lost[0] != 2 {
		t.Fatalf("60 s after the begin: %v", lost)
	}
}

func TestOpenStream_TheSameNonceIsTheSameSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.submit(job(single(t, "a"), `1`))
		open := openCommand(1, "a")
		first, one, err := w.eng.OpenStream(w.ctx(), Hello{Open: open})
		if err != nil {
			t.Fatal(err)
		}
		g := grants(t, first, 1)[0]
		second, two, err := w.eng.OpenStream(w.ctx(), Hello{Open: open})
		if err != nil || two.Session != one.Session {
			t.Fatalf("%+v, %+v, %v", one, two, err)
		}
		wantError(t, ended(first), ErrStreamReplaced)
		if again := grants(t, second, 1)[0]; again.Fence != g.Fence {
			t.Fatalf("%v, want %v", again.Fence, g.Fence)
		}
		first.Detach() // late: it must not disconnect the second
		w.submit(job(single(t, "a"), `2`))
		report(t, second, `1`, g)
		grants(t, second, 1)
	})
}

func TestOpenStream_WhatTheOpeningGrantedComesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.submit(jobs(3, single(t, "a"), `1`)...)
		s := w.connect(5, "a")
		synctest.Wait()
		if o := next(t, s); len(o.Grants) != 3 {
			t.Fatalf("%d grants", len(o.Grants))
		}
	})
}

func TestOpenStream_ARefusedSessionIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		_, _, err := w.eng.OpenStream(w.ctx(), Hello{Open: openCommand(0, "a")})
		var no *fsm.Refusal
		if !errors.As(err, &no) || no.Code != fsm.CodeInvalid {
			t.Fatalf("got %v", err)
		}
	})
}

func TestResume_TellsWhatToDropAndSendsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(5, "a")
		w.submit(jobs(5, single(t, "a"), `1`)...)
		all := grants(t, s, 5)
		kept, lacked, done, canceledHeld, canceledLacked := all[0], all[1], all[2], all[3], all[4]
		report(t, s, `1`, done)
		next(t, s)
		s.Detach()
		for _, a := range []fsm.Grant{canceledHeld, canceledLacked} {
			if _, _, err := w.eng.Cancel(w.ctx(), a.Task.Job, ""); err != nil {
				t.Fatal(err)
			}
		}
		s, welcome, err := w.eng.OpenStream(w.ctx(), Hello{Session: s.Session(), Held: []fsm.Fence{kept.Fence, done.Fence, canceledHeld.Fence}})
		if err != nil || len(welcome.Drop) != 1 || welcome.Drop[0] != done.Fence {
			t.Fatalf("%+v, %v", welcome, err)
		}
		o := next(t, s)
		if len(o.Grants) != 1 || o.Grants[0].Fence != lacked.Fence {
			t.Fatalf("grants %+v", o.Grants)
		}
		if len(o.Revokes) != 1 || o.Revokes[0].Fence != canceledHeld.Fence {
			t.Fatalf("revokes %+v", o.Revokes)
		}
		synctest.Wait()
		v := w.m.View()
		defer v.Close()
		leases, revokes, err := v.Leases(s.Session())
		if err != nil || len(leases) != 2 || len(revokes) != 1 { // the canceled one that nobody held has given its slot back
			t.Fatalf("%v, %v, %v", leases, revokes, err)
		}
	})
}

func TestGoodbye_HandsBackWithoutACharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(2, "a")
		w.submit(jobs(2, single(t, "a"), `1`)...)
		all := grants(t, s, 2)
		report(t, s, `1`, all[0])
		if err := s.Goodbye(w.ctx()); err != nil {
			t.Fatal(err)
		}
		o := next(t, s)
		if len(o.Acks) != 1 || o.Acks[0].Answers[0].Refusal != nil { // the report came first
			t.Fatalf("%+v", o)
		}
		wantError(t, ended(s), ErrSessionClosed)
		other := w.connect(2, "a")
		if g := grants(t, other, 1)[0]; g.Task != all[1].Task || g.Attempt != 1 || g.Crashes != 0 {
			t.Fatalf("%+v", g)
		}
	})
}

func TestReport_AWorkerThatReadsNoAcknowledgementsIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		w.submit(job(single(t, "a"), `1`))
		g := grants(t, s, 1)[0]
		sent := make(chan int, 1)
		go func() {
			n := 0
			for ; n < 2*owedMin; n++ {
				c, f := complete(g, `1`)
				if err := s.Report(t.Context(), []*fsmpb.Command{c}, []fsm.Fence{f}); err != nil {
					break
				}
			}
			sent <- n
		}()
		synctest.Wait()
		if c := w.counters(); c.Completions+c.Duplicates != owedMin {
			t.Fatalf("%d reports went through", c.Completions+c.Duplicates)
		}
		acks := 0
		for acks < 2*owedMin {
			for _, a := range next(t, s).Acks {
				acks += len(a.Fences)
			}
		}
		if n := <-sent; n != 2*owedMin {
			t.Fatalf("%d sent", n)
		}
	})
}
