package cluster

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func TestLogBytes_CutIsWantedAtTheLimitAndHalfStays(t *testing.T) {
	b := newLogBytes(1000)
	store := func(from, to uint64, size int) {
		for i := from; i <= to; i++ {
			b.stored([]*raft.Log{{Index: i, Data: make([]byte, size)}})
		}
	}
	wanted := func() bool {
		select {
		case <-b.fullC:
			return true
		default:
			return false
		}
	}
	store(1, 9, 100)
	if wanted() {
		t.Fatal("a cut at 900 of 1,000 bytes")
	}
	store(10, 10, 100)
	if !wanted() {
		t.Fatal("no cut at 1,000 of 1,000 bytes")
	}
	if n := b.trailing(); n != 5 {
		t.Fatalf("%d entries of 100 bytes stay of a half of 500, want 5", n)
	}
	store(11, 14, 100)
	if wanted() {
		t.Fatal("the count did not begin anew")
	}
	store(15, 15, 5000)
	if n := b.trailing(); !wanted() || n != 1 {
		t.Fatalf("%d entries stay when the newest alone is over the limit, want 1", n)
	}
	if sum := b.sum(); sum != 14*100+5000 {
		t.Fatalf("%d bytes were stored in all, want 6,400: cuts do not count", sum)
	}
}

// TestNode_LogIsCutByBytes: entries far below the threshold by number, and above it by bytes, do not
// let the log grow, and the node comes back from what is left.
func TestNode_LogIsCutByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "n1")
		small := func(c *Config) { c.LogBytes = 1 << 20 }
		w.start("n1", small)
		n := w.leader("n1")
		doc := []byte(`"` + strings.Repeat("x", 200_000) + `"`)
		var jobs []fsm.JobID
		for range 40 { // 8 MB
			e, _ := n.Leading()
			id := fsm.JobID(ulid.Make())
			_, _, err := e.Submit(w.ctx, []*fsmpb.SubmitJob{{Job: id[:], Namespace: "default", Graph: oneStep, Input: &fsmpb.Value{Inline: doc}}})
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, id)
			synctest.Wait()
		}
		w.until("the log is cut", func() bool {
			s := n.Status()
			return (s.LastLogIndex-s.FirstLogIndex)*200_000 < 2<<20
		})
		w.whole("n1")
		if err := w.stop("n1"); err != nil {
			t.Fatal(err)
		}
		w.start("n1", small)
		w.leader("n1")
		for _, id := range jobs {
			if !w.hasJob("n1", id) {
				t.Errorf("job %s is lost", id)
			}
		}
	})
}
