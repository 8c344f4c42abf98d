package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

func printed(t *testing.T, table func(*output.Rows)) string {
	var b strings.Builder
	if err := (output.Printer{Out: &b}).Value(nil, table); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestClusterStatus_PrintsEveryCounter, each once.
func TestClusterStatus_PrintsEveryCounter(t *testing.T) {
	c := &apiv1.Counters{}
	fields := c.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		c.ProtoReflect().Set(fields.Get(i), protoreflect.ValueOfUint64(uint64(1000+i)))
	}
	words := strings.Fields(printed(t, func(rows *output.Rows) { clusterTable(rows, &apiv1.ClusterStatusResponse{Counters: c}) }))
	for i := range fields.Len() {
		n := fmt.Sprint(1000 + i)
		if all := len(words) - len(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == n })); all != 1 {
			t.Errorf("`fanfold cluster status` prints %s %d times", fields.Get(i).Name(), all)
		}
	}
}

func TestWorkerList_SaysHowSlotsAreShared(t *testing.T) {
	w := &apiv1.Worker{
		Queues: []*apiv1.QueueSlots{{Queue: "hi", Slots: 3}, {Queue: "lo", Slots: 1}},
		Used:   []*apiv1.QueueSlots{{Queue: "hi", Slots: 2}, {Queue: "lo", Slots: 1}},
	}
	for want, set := range map[string]func(){
		"hi 2/3, lo 1/1":                  func() {},
		"shared 3/8, by weight hi:3 lo:1": func() { w.Slots = 8 },
		"shared 3/8, strict hi:3 lo:1":    func() { w.Slots, w.Strict = 8, true },
	} {
		w.Slots, w.Strict = 0, false
		set()
		if got := slots(w); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestClusterStatus_WhatIsNotKnownIsADash: a follower talks to the leader alone, and a node knows its own index.
func TestClusterStatus_WhatIsNotKnownIsADash(t *testing.T) {
	s := &apiv1.ClusterStatusResponse{LeaderId: "n1", Nodes: []*apiv1.Node{
		{Id: "n1", Leader: true, Voter: true, Reachable: true}, {Id: "n2", Voter: true, Reachable: true}, {Id: "n3", Voter: true},
	}}
	for by, want := range map[string]string{"n1": "true 7, true -, false -", "n2": "true -, true 7, - -"} {
		s.NodeId = by
		var got []string
		for _, n := range s.GetNodes() {
			n.AppliedIndex = 0
			if n.GetId() == by {
				n.AppliedIndex = 7
			}
			got = append(got, reachable(s, n)+" "+applied(s, n))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("answered by %s: %q, want %q", by, got, want)
		}
	}
}

// TestLimitList_AFullLimitWhoseTimeHasComeIsOpen: the log has had no entry since.
func TestLimitList_AFullLimitWhoseTimeHasComeIsOpen(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	for want, s := range map[string]*apiv1.LimitStatus{
		"open": {Full: true, FreeMs: 1_000_000}, "full for 2.0s": {Full: true, FreeMs: 1_002_000}, "full": {Full: true},
	} {
		if got := limitState(s, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
