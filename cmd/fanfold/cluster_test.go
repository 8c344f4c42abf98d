package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
