package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/fsm"
)

func TestConfig_EveryProblemIsReportedAtOnce(t *testing.T) {
	_, err := New(Config{Depth: -1, EntryCommands: 1 << 20})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Log", "Machine", "Depth", "EntryCommands"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestRun_LostLeadershipAnswersEverybodyWithWhatIsCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Depth: 1})
		s := w.connect(1, "a")
		w.quiet()
		graph := single(t, "a")
		waiter := w.eng.Await()
		if err := waiter.Add(w.ctx(), newJobID()); err != nil {
			t.Fatal(err)
		}
		w.log.hold()
		proposed, waiting := w.async(job(graph, `1`)), w.async(job(graph, `1`))
		if err := w.endTerm(); err != nil {
			t.Fatalf("run: %v", err)
		}
		wantError(t, <-proposed, ErrOutcomeUnknown)
		wantError(t, <-waiting, ErrNotLeader)
		wantError(t, ended(s), ErrNotLeader)
		<-waiter.Ready()
		_, err := waiter.Take()
		wantError(t, err, ErrNotLeader)
		_, _, err = w.eng.Submit(w.ctx(), jobs(1, graph, `1`)) // afterwards
		wantError(t, err, ErrNotLeader)
		_, err = w.eng.ReadIndex(w.ctx())
		wantError(t, err, ErrNotLeader)
		wantError(t, w.eng.Await().Add(w.ctx(), newJobID()), ErrNotLeader)
		_, _, err = w.eng.OpenStream(w.ctx(), Hello{Session: 1})
		wantError(t, err, ErrNotLeader)
	})
}

func TestRun_AnUnknownOutcomeEndsTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.quiet()
		w.log.mu.Lock()
		w.log.lose = true
		w.log.mu.Unlock()
		j := job(single(t, "a"), `1`)
		wantError(t, <-w.async(j), ErrOutcomeUnknown)
		wantError(t, w.endTerm(), ErrOutcomeUnknown)
		w.log.mu.Lock()
		w.log.lose = false
		w.log.mu.Unlock()
		w.begin()
		if a := w.submit(j)[0]; !a.Existing { // the retry tells
			t.Fatalf("%+v", a)
		}
	})
}

func TestRun_ARefusedProposalLeavesNoDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.quiet()
		w.log.mu.Lock()
		w.log.refuse = true
		w.log.mu.Unlock()
		wantError(t, <-w.async(job(single(t, "a"), `1`)), ErrNotLeader)
		wantError(t, w.endTerm(), ErrNotLeader)
	})
}

func TestRun_IsForOneTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		synctest.Wait()
		if err := w.eng.Run(w.ctx()); err == nil {
			t.Fatal("a second Run was accepted")
		}
	})
}

func TestTicker_ADueTimerFiresWithoutOtherTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		later := job(single(t, "a"), `1`)
		later.NotBeforeMs = time.Now().Add(3100 * time.Millisecond).UnixMilli()
		s := w.connect(1, "a")
		w.submit(later)
		begin := time.Now()
		grants(t, s, 1)
		if d := time.Since(begin); d < 3100*time.Millisecond || d > 3110*time.Millisecond {
			t.Fatalf("granted after %v", d)
		}
	})
}

func TestTicker_ATimerThatFellDueBetweenTermsFiresAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		later := job(single(t, "a"), `1`)
		later.NotBeforeMs = time.Now().Add(3100 * time.Millisecond).UnixMilli()
		w.submit(later)
		id := s.Session()
		if err := w.endTerm(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.begin()
		begin := time.Now()
		s, _, err := w.eng.OpenStream(w.ctx(), Hello{Session: id})
		if err != nil {
			t.Fatal(err)
		}
		grants(t, s, 1)
		if d := time.Since(begin); d > 10*time.Millisecond {
			t.Fatalf("granted after %v", d)
		}
	})
}

func TestTicker_NothingDueProposesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.submit(job(single(t, "a"), `1`))
		w.quiet()
		time.Sleep(10 * time.Minute)
		if n := w.eng.Stats().Entries - w.before; n != 0 {
			t.Fatalf("%d entries in idle time", n)
		}
	})
}

func TestChain_AStepCostsOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		w.quiet()
		w.submit(job(chain(t, "a", 10), `1`))
		for range 10 {
			report(t, s, `1`, grants(t, s, 1)...)
		}
		synctest.Wait()
		if n := w.eng.Stats().Entries - w.before; n != 11 {
			t.Fatalf("%d entries, want 11", n)
		}
		if c := w.counters(); c.JobsSucceeded != 1 {
			t.Fatalf("%+v", c)
		}
	})
}

func TestClock_AForwardJumpIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jump := time.Duration(0)
		c := newTermClock(func() time.Time { return time.Now().Add(jump) }, 0)
		begin := c.nowMS()
		jump = time.Hour
		time.Sleep(10 * time.Second)
		if d := c.nowMS() - begin; d != 10_000+jumpMS {
			t.Fatalf("%d ms after 10 s", d)
		}
		jump = 0
		if d := c.nowMS() - begin; d != 10_000 {
			t.Fatalf("%d ms after 10 s", d)
		}
	})
}

func TestClock_SetBackItGoesAtHalfPaceAndDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Now().Add(time.Hour).UnixMilli() // the state's time, from a leader whose clock was wrong
		c := newTermClock(time.Now, ahead)
		if c.nowMS() != ahead {
			t.Fatalf("begins %d ms off", c.nowMS()-ahead)
		}
		time.Sleep(time.Minute)
		if d := c.nowMS() - ahead; d != 30_000 {
			t.Fatalf("%d ms after a minute", d)
		}
		time.Sleep(2 * time.Hour)
		if d := c.nowMS() - time.Now().UnixMilli(); d != 0 {
			t.Fatalf("%d ms off the wall clock in the end", d)
		}
	})
}

func TestReadIndex_ACheckServesNobodyWhoCameAfterItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.log.verifies = make(chan chan error)
		read := func() chan error {
			c := make(chan error, 1)
			go func() { _, err := w.eng.ReadIndex(context.Background()); c <- err }()
			synctest.Wait()
			return c
		}
		first := read()
		begun := <-w.log.verifies
		second, third := read(), read()
		begun <- nil
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(second)+len(third) != 0 {
			t.Fatal("a check that had begun before them served later callers")
		}
		shared := <-w.log.verifies
		deposed := errors.New("deposed")
		shared <- deposed
		wantError(t, <-second, deposed)
		wantError(t, <-third, deposed)
	})
}

func TestReadIndex_HasEverythingThatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		_, at, err := w.eng.Submit(w.ctx(), jobs(1, single(t, "a"), `1`))
		if err != nil {
			t.Fatal(err)
		}
		index, err := w.eng.ReadIndex(w.ctx())
		v := w.m.View()
		defer v.Close()
		if err != nil || index < at || v.Index() < index {
			t.Fatalf("read index %d, view %d, submitted at %d, %v", index, v.Index(), at, err)
		}
	})
}

// TestReadIndex_WaitsForWhatIsOnItsWay: another node may have applied it, and shown it in a stale read, while the
// state of this one hangs. Found by jepsen-lite (register, disk-hang).
func TestReadIndex_WaitsForWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.log.hold()
		go w.eng.Submit(context.Background(), jobs(1, single(t, "a"), `1`))
		synctest.Wait()
		before, _ := w.m.Applied()
		read := make(chan uint64, 1)
		go func() {
			index, err := w.eng.ReadIndex(context.Background())
			if err != nil {
				t.Error(err)
			}
			read <- index
		}()
		synctest.Wait()
		if len(read) > 0 {
			t.Fatalf("answered with index %d while an entry is on its way", <-read)
		}
		w.log.release()
		if index := <-read; index <= before {
			t.Errorf("answered with index %d, and the entry after %d was on its way", index, before)
		}
	})
}

func TestReadIndex_EndsWithTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.log.verifies = make(chan chan error)
		c := make(chan error, 2)
		for range 2 {
			go func() { _, err := w.eng.ReadIndex(context.Background()); c <- err }()
		}
		synctest.Wait()
		if err := w.endTerm(); err != nil {
			t.Fatal(err)
		}
		wantError(t, <-c, ErrNotLeader)
		wantError(t, <-c, ErrNotLeader)
	})
}

func TestWaiter_HearsOfEachEndOnceAndOfNothingAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		ids := w.submit(jobs(3, single(t, "a"), `1`)...)
		one, two, closed := w.eng.Await(), w.eng.Await(), w.eng.Await()
		for _, x := range []*Waiter{one, two, closed} {
			if err := x.Add(w.ctx(), ids[0].Job, ids[1].Job, ids[0].Job); err != nil {
				t.Fatal(err)
			}
		}
		closed.Close()
		for _, a := range ids {
			if _, _, err := w.eng.Cancel(w.ctx(), a.Job, ""); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for _, x := range []*Waiter{one, two} {
			got, err := x.Take()
			if err != nil || len(got) != 2 || got[0].Job != ids[0].Job || got[1].Job != ids[1].Job || got[0].State != fsm.JobCanceled {
				t.Fatalf("%v, %v", got, err)
			}
		}
		if got, err := closed.Take(); err != nil || len(got) != 0 {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

func TestWaiter_WatchingIsWokenByEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		id := w.submit(job(chain(t, "a", 2), `1`))[0].Job
		watch := w.eng.Watch()
		defer watch.Close()
		if err := watch.Add(w.ctx(), id); err != nil {
			t.Fatal(err)
		}
		s := w.connect(1, "a")
		g := grants(t, s, 1)
		<-watch.Ready()
		report(t, s, `1`, g...)
		<-watch.Ready()
		report(t, s, `1`, grants(t, s, 1)...)
		for {
			<-watch.Ready()
			if f, err := watch.Take(); err != nil {
				t.Fatal(err)
			} else if len(f) == 1 {
				break
			}
		}
	})
}

func TestWaiter_TheTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Watched: 3})
		one := w.eng.Await()
		if err := one.Add(w.ctx(), newJobID(), newJobID()); err != nil {
			t.Fatal(err)
		}
		wantError(t, w.eng.Await().Add(w.ctx(), newJobID(), newJobID()), ErrOverloaded)
		one.Close()
		synctest.Wait()
		if err := w.eng.Await().Add(w.ctx(), newJobID(), newJobID(), newJobID()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWaiter_ManyIdsAreNotedAndForgottenInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Watched: 3 * waiterStep})
		all := make([]fsm.JobID, 3*waiterStep)
		for i := range all {
			all[i] = newJobID()
		}
		one := w.eng.Await()
		if err := one.Add(w.ctx(), all...); err != nil {
			t.Fatal(err)
		}
		wantError(t, w.eng.Await().Add(w.ctx(), newJobID()), ErrOverloaded)
		one.Close()
		synctest.Wait()
		if err := w.eng.Await().Add(w.ctx(), all...); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLocalLog_RefusesAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		log := NewLocalLog(w.m)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := log.Run(ctx); err != nil {
			t.Fatal(err)
		}
		wantError(t, log.VerifyLeader(w.ctx()), ErrNotLeader)
		log.Propose(nil, func(_ *fsm.Result, err error) { wantError(t, err, ErrNotLeader) })
	})
}
