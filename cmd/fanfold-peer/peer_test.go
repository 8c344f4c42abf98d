package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPayload_Is200BytesOfJSON(t *testing.T) {
	for _, task := range []Task{{}, {ID: 19_999, Kind: "noop"}, {Kind: "step", Group: 199, Step: 9}} {
		data, err := json.Marshal(payload(task))
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != 200 {
			t.Errorf("%d bytes: %s", len(data), data)
		}
	}
}

func TestGaps_AreBetweenStepsOfOneChain(t *testing.T) {
	s := newSeen()
	s.expect(2)
	ms := time.Millisecond.Nanoseconds()
	s.at[0][0], s.at[0][1], s.at[0][3] = 5*ms, 7*ms, 90*ms // step 2 is missing
	s.at[1][0], s.at[1][1] = 100*ms, 104*ms
	if diff := cmp.Diff([]float64{2, 4}, s.gaps()); diff != "" {
		t.Error(diff)
	}
}

func TestQuantile(t *testing.T) {
	if got := quantile([]float64{3, 1, 2}, .5); got != 2 {
		t.Error(got)
	}
	if got := quantile(nil, .5); got != -1 {
		t.Error(got)
	}
}

func TestRun_RefusesAnUnknownWorkload(t *testing.T) {
	if run([]string{"W6"}) == nil || run(nil) == nil {
		t.Error("no error")
	}
}
