package sdk

import (
	"testing"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// TestAssign_AfterTheLeaseStartsNothing: a process that was stopped reads assignments from before, whose
// tasks others may be running by now. No script can stop a process, so the session is made by hand.
func TestAssign_AfterTheLeaseStartsNothing(t *testing.T) {
	s := newSession(t.Context(), NewWorker(nil, WorkerConfig{}))
	hungUp := false
	s.hangUp = func() { hungUp = true }
	s.leaseUntil = time.Now().Add(-time.Nanosecond)
	s.receive(&apiv1.WorkResponse{Assignments: []*apiv1.Assignment{{Fence: &apiv1.Fence{Index: 1}}}})
	if len(s.running) != 0 || !hungUp {
		t.Errorf("%d attempts run, hung up: %v", len(s.running), hungUp)
	}
}
