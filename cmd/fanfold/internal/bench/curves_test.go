package bench

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSpaced_EndsWhereItWasAskedToAndBeginsAtTheFirst(t *testing.T) {
	for _, test := range []struct {
		first, last, factor float64
		want                []float64
	}{
		{1, 4096, 4, []float64{1, 4, 16, 64, 256, 1024, 4096}},
		{1, 1000, 10, []float64{1, 10, 100, 1000}},
		{1, 1000, 3.1623, []float64{1, 3, 10, 32, 100, 316, 1000}},
		{100, 256 << 10, 4, []float64{100, 256, 1024, 4096, 16384, 65536, 262144}},
		{1, 1, 4, []float64{1}},
		{1, 3, 10, []float64{1, 3}},
	} {
		got := spaced(test.first, test.last, test.factor)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("from %g to %g by %g: %s", test.first, test.last, test.factor, diff)
		}
	}
	if diff := cmp.Diff([]float64{0, 1000, 10_000}, fromZero(1000, 10)(10_000)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{0, 50}, fromZero(1000, 10)(50)); diff != "" {
		t.Error(diff)
	}
}

func TestTally_WhatEndsLateCountsForLatencyAndNotForRate(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	tally := newTally(begin, time.Second, 2)
	tally.add(at(-1), at(-0.5)) // to warm up
	for i := range 99 {
		tally.add(at(0.5), at(0.501+float64(i)/1e6))
	}
	tally.add(at(-3), at(0.9))
	tally.add(at(1.5), at(1.502))
	tally.add(at(1.9), at(11.9))
	near := cmpopts.EquateApprox(0.2, 0)
	if diff := cmp.Diff(Values{keyRate: 100, keyP50: 1, keyP99: 3900}, tally.values(0), near); diff != "" {
		t.Error("the first second", diff)
	}
	if diff := cmp.Diff(Values{keyRate: 1, keyP50: 10_000, keyP99: 10_000}, tally.values(1), near); diff != "" {
		t.Error("the second one, with what was under way at its end", diff)
	}
	if diff := cmp.Diff(Values{keyRate: 0}, newTally(begin, time.Second, 1).values(0)); diff != "" {
		t.Error("nothing has no latency", diff)
	}
}

func TestQuantile(t *testing.T) {
	var spans []time.Duration
	for i := 1000; i > 0; i-- {
		spans = append(spans, time.Duration(i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 501, 0.99: 991, 0.999: 1000, 1: 1000} {
		if got := quantile(spans, q); got != want {
			t.Errorf("the %g quantile is %g, want %g", q, got, want)
		}
	}
}

// TestSchedule_LatencyBeginsWhenATaskIsDue: a stall of one second is in the latency of all tasks that were
// due in it, however late they were sent.
func TestSchedule_LatencyBeginsWhenATaskIsDue(t *testing.T) {
	s := newSchedule(1000, 4000)
	for i := range 4000 {
		due := time.Duration(i) * time.Millisecond
		ended := due + time.Millisecond
		if i >= 2000 && i < 3000 {
			ended = 3001 * time.Millisecond
		}
		s.over(i, ended)
		s.over(i, ended+time.Hour) // again: the first end counts
	}
	s.left.Wait()
	got := s.values(1000)
	want := Values{keyRate: 1000, keyP50: 1, keyP99: 972, keyP999: 999, keyMax: 1001}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0.01, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestSchedule_WhatWasNotTakenHasNoLatency(t *testing.T) {
	s := newSchedule(1000, 3)
	s.over(0, 5*time.Millisecond)
	s.over(1, -1)
	s.over(2, -1)
	s.over(2, time.Second) // it ran although its submission failed
	s.left.Wait()
	if got := s.values(0)[keyMax]; got != 5 {
		t.Errorf("the slowest took %g ms, want 5", got)
	}
}

func TestLength_Verdict(t *testing.T) {
	minute := func(rates ...float64) (points []Point) {
		for i, r := range rates {
			points = append(points, Point{X: float64(i + 1), Values: Values{keyRate: r}})
		}
		return points
	}
	for _, test := range []struct {
		name   string
		points []Point
		want   []bool
	}{
		{"no decay", minute(100, 20, 95), []bool{true}},
		{"exactly the bound", minute(100, 90), []bool{true}},
		{"decay", minute(100, 100, 89), []bool{false}},
		{"cut: nothing is said", append(minute(100, 100), Point{X: 3, Missing: "cut"}), nil},
		{"one minute: nothing is said", minute(100), nil},
	} {
		var got []bool
		for _, v := range lengthCurve.judges(test.points) {
			got = append(got, v.Held)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestBacklog_VerdictNeedsBothEnds(t *testing.T) {
	little := Point{X: littleWaits, Values: Values{keyDrain: 1000, keySubmit: 1000, keyRate: 1000, keyRSS: 100}}
	deep := Point{X: deepBacklog, Values: Values{keyDrain: 801, keySubmit: 799, keyRate: 2000, keyRSS: 1023}}
	if got := backlogCurve.judges([]Point{little}); got != nil {
		t.Errorf("a verdict without the deep backlog: %v", got)
	}
	var got []bool
	for _, v := range backlogCurve.judges([]Point{little, deep}) {
		got = append(got, v.Held)
	}
	if diff := cmp.Diff([]bool{true, false, true, true}, got); diff != "" {
		t.Error(diff)
	}
}

// TestCurveRun_WhatIsMissingIsNamed: a point that fails, one that is cut, and those after it have no values
// and say why.
func TestCurveRun_WhatIsMissingIsNamed(t *testing.T) {
	c := &curve{name: "c", title: "Some curve", panels: usualPanels}
	result := &Curve{Name: "c", Points: []Point{
		{X: 1, Values: Values{keyRate: 10}},
		{X: 10, Error: "the node ended\nwith much text"},
		{X: 100, Missing: "cut by the bound of 1m0s"},
	}}
	config := CurvesConfig{Out: t.TempDir(), Missing: true}
	if err := c.write(config, result); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(config.Out, "c.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Some curve", "Not measured at 10: the node ended …", "Not measured at 100: cut by the bound of 1m0s"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the figure does not say %q", want)
		}
	}
	if diff := cmp.Diff(result, readCurve(config, "c")); diff != "" {
		t.Error("read back:", diff)
	}
	config.Missing = false
	if readCurve(config, "c") != nil {
		t.Error("a curve is left out that was asked for")
	}
}

func TestCurveRun_BoundAndInterruptAreDifferent(t *testing.T) {
	r := &curveRun{curve: &curve{}, config: CurvesConfig{Bound: time.Minute}}
	bounded, cancel := context.WithTimeoutCause(t.Context(), 0, errBound)
	defer cancel()
	<-bounded.Done()
	if got := r.why(bounded); got != "cut by the bound of 1m0s" {
		t.Error(got)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if got := r.why(stopped); got != "interrupted" {
		t.Error(got)
	}
}

func TestNoisy_HasTheSizeAndDoesNotRepeat(t *testing.T) {
	for _, n := range []int{20, 100, 256 << 10} {
		data, err := json.Marshal(noisy(n))
		if err != nil || len(data) != n {
			t.Errorf("%d bytes, %v; want %d", len(data), err, n)
		}
	}
	if a, b := noisy(1000), noisy(1000); a == b {
		t.Error("two payloads are the same")
	}
}

func TestSteps_AFewPointsAndTheLast(t *testing.T) {
	spans := make([]time.Duration, 1003)
	for i := range spans {
		spans[i] = time.Duration(i) * time.Millisecond
	}
	points := steps(spans, "x")
	last := points[len(points)-1]
	if len(points) > 24 || last.Step || last.Values[keyServed] != 1003 || last.X != 1.002 || points[1].Values[keyServed] != 1 {
		t.Errorf("%d points, the last one %+v", len(points), last)
	}
	if points := steps(nil, "x"); len(points) != 1 || points[0].Step {
		t.Errorf("nobody was served: %+v", points)
	}
}

func TestRunCurves_UnknownNameIsAnError(t *testing.T) {
	_, err := RunCurves(t.Context(), CurvesConfig{Names: []string{"nothing"}}, "")
	if err == nil || errors.Is(err, errBound) {
		t.Error(err)
	}
}
