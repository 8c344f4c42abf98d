package engine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func TestEntry_PiecesAddUpToTheMachinesEncoding(t *testing.T) {
	graph := single(t, "a")
	cmds := []*fsmpb.Command{
		{Kind: &fsmpb.Command_SubmitJob{SubmitJob: job(graph, `{"n":1}`)}},
		closeCommand(7, true),
		{Kind: &fsmpb.Command_SubmitJob{SubmitJob: job(graph, `"`+strings.Repeat("x", 300)+`"`)}},
		{Kind: &fsmpb.Command_HashState{HashState: &fsmpb.HashState{}}},
	}
	for _, now := range []int64{0, 1, 1_800_000_000_000} {
		want, err := fsm.EncodeEntry(now, cmds)
		if err != nil {
			t.Fatal(err)
		}
		frames, ends, err := frame(cmds)
		if err != nil {
			t.Fatal(err)
		}
		if got := append(fsm.AppendHeader(nil, now), frames...); !bytes.Equal(got, want) || ends[len(ends)-1] != len(frames) {
			t.Fatalf("at %d: got %x, want %x", now, got, want)
		}
	}
}

// held is what a test's log keeps back: how many commands each entry has.
func held(t *testing.T, w *world) (sizes []int) {
	t.Helper()
	synctest.Wait()
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	for _, data := range w.log.kept {
		e, err := fsm.DecodeEntry(data)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(e.Commands))
	}
	return sizes
}

func equal(t *testing.T, got []int, want ...int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func jobs(n int, graph []byte, input string) (all []*fsmpb.SubmitJob) {
	for range n {
		all = append(all, job(graph, input))
	}
	return all
}

// async submits without waiting; the error comes on the channel.
func (w *world) async(all ...*fsmpb.SubmitJob) <-chan error {
	c := make(chan error, 1)
	go func() { _, _, err := w.eng.Submit(context.Background(), all); c <- err }()
	synctest.Wait()
	return c
}

// allTaken waits for submissions.
func allTaken(t *testing.T, submitted ...<-chan error) {
	t.Helper()
	for _, c := range submitted {
		if err := <-c; err != nil {
			t.Fatal(err)
		}
	}
}

func TestBatch_ALoneCommandLeavesAtOnceAndTheRestGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.quiet()
		graph := single(t, "a")
		w.log.hold()
		var done []<-chan error
		for range 5 {
			done = append(done, w.async(job(graph, `1`)))
		}
		equal(t, held(t, w), 1, 1) // depth 2
		w.log.release()
		allTaken(t, done...)
		if n := w.eng.Stats(); n.Entries != w.before+3 { // the three that gathered shared one
			t.Fatalf("%d entries", n.Entries-w.before)
		}
	})
}

func TestBatch_AFewDoNotFollowManyBeforeTheseAreBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Depth: 3})
		w.quiet()
		graph := single(t, "a")
		w.log.hold()
		done := []<-chan error{w.async(jobs(5, graph, `1`)...), w.async(job(graph, `1`))}
		equal(t, held(t, w), 5)
		done = append(done, w.async(jobs(4, graph, `1`)...)) // as many wait now as are on their way
		equal(t, held(t, w), 5, 5)
		done = append(done, w.async(job(graph, `1`)))
		equal(t, held(t, w), 5, 5)
		w.log.release()
		allTaken(t, done...)
		if n := w.eng.Stats(); n.Entries != w.before+3 {
			t.Fatalf("%d entries", n.Entries-w.before)
		}
	})
}

func TestBatch_AnEntryHasAtMostSoManyCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EntryCommands: 100, Depth: 3})
		w.quiet()
		w.log.hold()
		done := w.async(jobs(250, single(t, "a"), `1`)...)
		equal(t, held(t, w), 100, 100, 50)
		w.log.release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestBatch_AnswersOfARequestInSeveralEntriesComeTogetherInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EntryCommands: 7})
		all := jobs(50, single(t, "a"), `1`)
		for i, a := range w.submit(all...) {
			if a.Job != fsm.JobID(all[i].Job) || a.Existing {
				t.Fatalf("answer %d is %v", i, a)
			}
		}
		again, index, err := w.eng.Submit(w.ctx(), all)
		if applied, _ := w.m.Applied(); err != nil || index != applied {
			t.Fatalf("index %d, applied %d, %v", index, applied, err)
		}
		for i, a := range again {
			if !a.Existing {
				t.Fatalf("answer %d is %v", i, a)
			}
		}
	})
}

func TestBatch_BytesAreBoundedButForASingleLargerCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EntryBytes: 4 << 10, Depth: 4})
		w.quiet()
		graph := single(t, "a")
		small, large := `"`+strings.Repeat("s", 1000)+`"`, `"`+strings.Repeat("l", 9000)+`"`
		w.log.hold()
		done := w.async(job(graph, small), job(graph, small), job(graph, large), job(graph, small), job(graph, small))
		equal(t, held(t, w), 2, 1, 2)
		w.log.release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestBatch_WhatEndsWorkGoesFirstAndSubmissionsKeepAnEighth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EntryCommands: 80, Depth: 1})
		w.quiet()
		graph := single(t, "a")
		ids := w.submit(jobs(200, graph, `1`)...)
		w.log.hold()
		first := w.async(job(graph, `1`))
		submitted := w.async(jobs(200, graph, `1`)...)
		var canceled []chan error
		for _, a := range ids {
			c := make(chan error, 1)
			canceled = append(canceled, c)
			go func() { _, _, err := w.eng.Cancel(context.Background(), a.Job, ""); c <- err }()
		}
		synctest.Wait()
		kinds := []string{}
		w.log.onPropose = func(data []byte) {
			e, err := fsm.DecodeEntry(data)
			if err != nil {
				panic(err)
			}
			var order strings.Builder
			for _, c := range e.Commands {
				if c.GetCancelJob() != nil {
					order.WriteByte('c')
				} else {
					order.WriteByte('s')
				}
			}
			kinds = append(kinds, order.String())
		}
		w.log.release()
		for _, c := range append(canceled, asChan(first), asChan(submitted)) {
			if err := <-c; err != nil {
				t.Fatal(err)
			}
		}
		if want := strings.Repeat("c", 70) + strings.Repeat("s", 10); kinds[0] != want || kinds[1] != want {
			t.Fatalf("entries %q", kinds)
		}
	})
}

func asChan(c <-chan error) chan error {
	out := make(chan error, 1)
	go func() { out <- <-c }()
	return out
}

func TestSubmit_AFullQueueIsOverloadedAtOnceAndReportsStillGoThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{QueueCommands: 10, Depth: 1})
		s := w.connect(1, "a")
		w.submit(job(single(t, "a"), `1`))
		g := grants(t, s, 1)
		w.quiet()
		graph := single(t, "b")
		w.log.hold()
		first := w.async(job(graph, `1`)) // in flight
		full := w.async(jobs(10, graph, `1`)...)
		_, _, err := w.eng.Submit(w.ctx(), jobs(1, graph, `1`))
		wantError(t, err, ErrOverloaded)
		var over *OverloadedError
		if !errors.As(err, &over) || over.RetryAfter <= 0 {
			t.Fatalf("no hint in %v", err)
		}
		report(t, s, `1`, g...)
		w.log.release()
		if o := next(t, s); len(o.Acks) != 1 || o.Acks[0].Answers[0].Refusal != nil {
			t.Fatalf("%+v", o)
		}
		allTaken(t, first, full)
		w.submit(jobs(1, graph, `1`)...)
	})
}

func TestSubmit_ACallThatGaveUpIsNotProposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Depth: 1})
		w.quiet()
		graph := single(t, "a")
		w.log.hold()
		first := w.async(job(graph, `1`))
		ctx, cancel := context.WithCancel(context.Background())
		given := make(chan error, 1)
		gone := job(graph, `1`)
		go func() { _, _, err := w.eng.Submit(ctx, []*fsmpb.SubmitJob{gone}); given <- err }()
		synctest.Wait()
		cancel()
		wantError(t, <-given, context.Canceled)
		w.log.release()
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		w.submit(job(graph, `1`))
		if _, _, err := w.m.JobHead(fsm.JobID(gone.Job)); !errors.Is(err, fsm.ErrNotFound) {
			t.Fatalf("the job is there: %v", err)
		}
	})
}

func TestBatch_OutcomesThatComeOutOfOrderArePassedOnInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(1, "a")
		w.quiet()
		w.log.keep(2)
		j := job(single(t, "a"), `1`)
		submitted := w.async(j)
		canceled := make(chan error, 1)
		go func() { _, _, err := w.eng.Cancel(context.Background(), fsm.JobID(j.Job), ""); canceled <- err }()
		w.log.give(1)
		synctest.Wait()
		var early Outgoing
		if err := s.Take(&early); err != nil || !early.empty() || len(canceled) != 0 {
			t.Fatalf("before the older outcome: %+v, %v", early, err)
		}
		w.log.give(0)
		if err := <-submitted; err != nil {
			t.Fatal(err)
		}
		if err := <-canceled; err != nil {
			t.Fatal(err)
		}
		o := next(t, s)
		if len(o.Grants) != 1 || len(o.Revokes) != 1 || o.Grants[0].Fence != o.Revokes[0].Fence {
			t.Fatalf("%+v", o)
		}
	})
}
