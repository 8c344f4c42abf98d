package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScale_At(t *testing.T) {
	linear := Scale{From: 0, To: 10, Begin: 100, End: 0}
	powers := Scale{From: 1, To: 100, Begin: 0, End: 200, Log: true}
	for _, test := range []struct {
		s       Scale
		v, want float64
	}{
		{linear, 0, 100}, {linear, 5, 50}, {linear, 10, 0}, {linear, 12, 0}, {linear, -1, 100},
		{powers, 1, 0}, {powers, 10, 100}, {powers, 100, 200}, {powers, 0, 0}, {powers, 1e6, 200},
		{Scale{From: 3, To: 3, Begin: 7, End: 9}, 3, 7},
	} {
		if got := test.s.At(test.v); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%+v at %g: %g, want %g", test.s, test.v, got, test.want)
		}
	}
}

func TestScale_Ticks(t *testing.T) {
	for _, test := range []struct {
		s    Scale
		n    int
		want []float64
	}{
		{Scale{To: 10}, 5, []float64{0, 2, 4, 6, 8, 10}},
		{Scale{To: 9500}, 5, []float64{0, 2000, 4000, 6000, 8000}},
		{Scale{From: 1, To: 4096, Log: true}, 8, []float64{1, 10, 100, 1000}},
		{Scale{From: 1, To: 1e9, Log: true}, 5, []float64{1, 100, 10_000, 1e6, 1e8}},
		{Scale{From: 20, To: 60, Log: true}, 4, []float64{20, 30, 40, 50, 60}},
		{Scale{From: 100, To: 7000, Log: true}, 5, []float64{100, 200, 500, 1000, 2000, 5000}},
	} {
		got := test.s.Ticks(test.n)
		if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) })); diff != "" {
			t.Errorf("%+v: %s", test.s, diff)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1: "1", 0.25: "0.25", 999.7: "1000", 12_345: "12.3k", 1e7: "10M", 4096: "4.1k", 1.005: "1"} {
		if got := SI(v); got != want {
			t.Errorf("SI(%g) is %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0 B", 100: "100 B", 1024: "1 KiB", 262_144: "256 KiB", 5 << 30: "5 GiB", 1.25 * (1 << 30): "1.25 GiB"} {
		if got := Bytes(v); got != want {
			t.Errorf("Bytes(%g) is %s, want %s", v, got, want)
		}
	}
}

func TestWrap_BreaksBetweenWords(t *testing.T) {
	long := strings.Repeat("word ", 40)
	got := wrap([]string{"short", long, strings.Repeat("x", 400)})
	if len(got) != 4 || got[0] != "short" || len(got[1]) > lineWide || got[1]+" "+got[2]+" " != long {
		t.Errorf("%q", got)
	}
}

func TestFigure_KnownSeries(t *testing.T) {
	f := Figure{
		Title: "Throughput & <more>", X: Axis{Label: "backlog", Log: true},
		Panels: []Panel{
			{Label: "tasks/s", Aim: 15, AimName: "at least 15", Series: []Series{{Name: "drain", Points: []Point{{0, 10}, {100, 20}, {10_000, math.NaN()}, {1_000_000, 20}}}}},
			{Label: "p99 (ms)", Series: []Series{{Name: "a", Points: []Point{{100, 1}}}, {Name: "b", Points: []Point{{100, 1000}}}}},
			{Label: "nothing was measured"},
		},
		Notes: []string{"10,000: the node ended"},
	}
	svg := f.SVG()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	for _, want := range []string{
		"Throughput &amp; &lt;more&gt;", "at least 15", "10,000: the node ended", "prefers-color-scheme:dark",
		"M58.0 114.1h0.1L", // 0 stands at the left edge, half as high as 20
		"M430.0 50.2h0.1",  // after the gap the last point stands alone
		">0</text>", ">100</text>", ">1M</text>", "nothing was measured",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the figure does not have %q: %s", want, svg)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("a number is none")
	}
}
