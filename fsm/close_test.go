package fsm

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// TestClose_WaitsForReadsAndRefusesLaterOnes: a stream may be reading inputs when a node shuts down.
func TestClose_WaitsForReadsAndRefusesLaterOnes(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 8, "t"))
	var grants []Grant
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		grants = append(grants, h.apply(submit(name, chain(t, 1), `1`)).Grants...)
	}
	for i := range grants {
		grants[i].Input = nil
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				own := append([]Grant(nil), grants...)
				err := h.m.LoadInputs(own, InlineMax)
				if err == nil {
					_, _, err = h.m.GrantInput(&grants[0], InlineMax)
				}
				if err == nil {
					_, _, err = h.m.JobHead(grants[0].Task.Job)
				}
				if errors.Is(err, pebble.ErrClosed) {
					return
				}
				if err != nil || string(own[4].Input) != "1" {
					t.Errorf("read %s, %v", own[4].Input, err)
					return
				}
			}
		})
	}
	if err := h.m.Close(); err != nil { // reports an iterator that is still open
		t.Error(err)
	}
	readers.Wait()
	if _, _, err := h.m.TaskInputBytes(grants[0].Task, InlineMax); !errors.Is(err, pebble.ErrClosed) {
		t.Errorf("a read after Close: %v", err)
	}
	h.m = h.open(h.fs, "state") // for the harness's own Close
}
