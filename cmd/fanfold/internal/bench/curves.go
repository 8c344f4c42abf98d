package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

// A curve is a workload measured at many sizes: throughput, latency, memory and log against what grows.
//
// Its points are independent, so a curve that is cut by its bound of time, or of which a point fails, is
// still a curve: what is missing is named in it, and no value is ever made up.

// CurvesConfig says which curves to measure.
type CurvesConfig struct {
	Config
	// Names of curves, in order; see Curves. Nodes of 0 means each curve's own.
	Names []string
	// For is how long a point is measured.
	For time.Duration
	// Bound is how long a curve may take; 0 means each curve's own.
	Bound time.Duration
	// From and To are the smallest and the largest size; 0 means each curve's own.
	From, To float64
	// Out is where NAME.json and NAME.svg are written when a curve is done; "" for nowhere.
	Out string
	// Missing leaves out the curves whose NAME.json is there: they are drawn again from it.
	Missing bool
	// LogStore of the nodes: bolt or wal; "" for their default.
	LogStore string
	// Commit is what is measured; "" means what the executable knows.
	Commit string
}

// Curve is what was measured, with the conditions.
type Curve struct {
	Name       string     `json:"name"`
	Title      string     `json:"title"`
	X          string     `json:"x"` // what grows, with its unit
	Conditions Conditions `json:"conditions"`
	Points     []Point    `json:"points"`
	Verdicts   []Verdict  `json:"verdicts,omitempty"`
}

// Point is one size. Without Values, Missing or Error says why.
type Point struct {
	X       float64 `json:"x"`
	Series  string  `json:"series,omitempty"` // which of several runs, where a curve has them
	Values  Values  `json:"values,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // that it took in all
	Step    bool    `json:"step,omitempty"`    // on the way to a point of the same series: drawn, and in no table
	Missing string  `json:"missing,omitempty"` // it was not measured: why
	Error   string  `json:"error,omitempty"`   // it failed
}

// Values are measures by key; the key ends with the unit.
type Values map[string]float64

// The keys that most curves have.
const (
	keyRate = "tasks_per_s"
	keyP50  = "p50_ms"
	keyP99  = "p99_ms"
	keyRSS  = "resident_mib"
	keyAnon = "resident_without_files_mib"
	keyLog  = "log_bytes_per_task"
	keyCPU  = "server_cpu_us_per_task"
)

// Verdict is an aim, and whether it was reached.
type Verdict struct {
	Aim   string  `json:"aim"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Held  bool    `json:"held"`
}

// curve is how one is measured.
type curve struct {
	name, title string
	below       string // what is done at each point, in a line
	axis        plot.Axis
	panels      []panel
	nodes       int           // by default; 0 means 1
	to          float64       // by default
	bound       time.Duration // by default
	byName      bool          // it is not among all: it takes long
	// sizes are the points up to a size.
	sizes func(to float64) []float64
	// together: all points are measured on one cluster, which grows; else each has a fresh one.
	together bool
	// begin makes what measures the points. It is called once.
	begin func() func(ctx context.Context, m *machine, x float64) (Values, error)
	// whole measures the curve in one go, in place of begin.
	whole  func(ctx context.Context, m *machine, to float64, add func(Point)) error
	judges func(points []Point) []Verdict
}

// panel is a plot of some keys.
type panel struct {
	label   string
	keys    []string
	names   []string
	aim     float64
	aimName string
}

var (
	ratePanel    = panel{label: "throughput (tasks/s)", keys: []string{keyRate}, names: []string{"tasks/s"}}
	latencyPanel = panel{label: "submit to result (ms)", keys: []string{keyP50, keyP99}, names: []string{"median", "99th percentile"}}
	memoryPanel  = panel{label: "resident size of the largest node (MiB)", keys: []string{keyRSS, keyAnon}, names: []string{"all", "without mapped files"}}
	logPanel     = panel{label: "log for a task (bytes)", keys: []string{keyLog}, names: []string{"bytes"}}
	usualPanels  = []panel{ratePanel, latencyPanel, memoryPanel, logPanel}
	drainPanels  = []panel{
		{label: "throughput (tasks/s)", keys: []string{keyDrain, keyRate}, names: []string{"drain", "one task a client"}},
		latencyPanel, memoryPanel, logPanel,
	}
)

var curves = []*curve{
	concurrencyCurve, payloadCurve, backlogCurve, queuesCurve, workersCurve, mapCurve, stateCurve, pacedCurve, reconnectCurve, lengthCurve,
}

// Curves are the names of all curves, and which of them "all" leaves out because they take long.
func Curves() (names, long []string) {
	for _, c := range curves {
		names = append(names, c.name)
		if c.byName {
			long = append(long, c.name)
		}
	}
	return names, long
}

// RunCurves measures curves. Those that were measured before an error are returned with it.
func RunCurves(ctx context.Context, config CurvesConfig, version string) (done []*Curve, err error) {
	var failed []error
	for _, name := range config.Names {
		at := slices.IndexFunc(curves, func(c *curve) bool { return c.name == name })
		if at < 0 {
			return done, fmt.Errorf("unknown curve %q", name)
		}
		c := curves[at]
		result := readCurve(config, name)
		if result == nil {
			if result, err = c.measure(ctx, config, version); err != nil {
				return done, fmt.Errorf("%s: %w", name, err)
			}
		}
		done = append(done, result)
		if err := c.write(config, result); err != nil {
			return done, err
		}
		for _, p := range result.Points {
			if p.Error != "" {
				failed = append(failed, fmt.Errorf("%s at %s: %s", name, c.format(p.X), p.Error))
			}
		}
		if err := ctx.Err(); err != nil {
			return done, err
		}
	}
	return done, errors.Join(failed...)
}

func (c *curve) format(x float64) string {
	if c.axis.Format != nil {
		return c.axis.Format(x)
	}
	return plot.SI(x)
}

// measure runs one curve.
func (c *curve) measure(ctx context.Context, config CurvesConfig, version string) (*Curve, error) {
	if config.Nodes == 0 {
		config.Nodes = max(c.nodes, 1)
	}
	if config.To == 0 {
		config.To = c.to
	}
	if config.Bound == 0 {
		config.Bound = c.bound
	}
	result := &Curve{Name: c.name, Title: c.title, X: c.axis.Label}
	var err error
	if result.Conditions, err = conditions(config, version); err != nil {
		return nil, err
	}
	r := &curveRun{curve: c, config: config, result: result}
	bounded, cancel := context.WithTimeoutCause(ctx, config.Bound, errBound)
	defer cancel()
	if c.whole != nil {
		r.whole(bounded)
	} else {
		r.points(bounded)
	}
	result.Conditions.end()
	if c.judges != nil {
		result.Verdicts = c.judges(result.Points)
	}
	return result, nil
}

// errBound ends a curve that takes longer than it may.
var errBound = errors.New("cut by the bound of time")

// curveRun is a curve being measured.
type curveRun struct {
	*curve
	config  CurvesConfig
	result  *Curve
	machine *machine
	dir     string
}

// add takes a point, and tells of it.
func (r *curveRun) add(p Point) {
	r.result.Points = append(r.result.Points, p)
	if p.Step {
		return
	}
	what := p.Missing + p.Error
	for _, key := range slices.Sorted(maps.Keys(p.Values)) {
		what += fmt.Sprintf("  %s %s", key, plot.SI(p.Values[key]))
	}
	r.config.Note("%s at %s: %s", strings.TrimSpace(r.name+" "+p.Series), r.format(p.X), strings.TrimSpace(what))
}

// points measures one after another. After a failure on a cluster that all share, nothing can be said of
// the larger ones.
func (r *curveRun) points(ctx context.Context) {
	defer r.stop()
	point := r.begin()
	stopped := ""
	for _, x := range r.sizes(r.config.To) {
		if x < r.config.From {
			continue
		}
		if ctx.Err() != nil {
			stopped = r.why(ctx)
		}
		if stopped != "" {
			r.add(Point{X: x, Missing: stopped})
			continue
		}
		started := time.Now()
		values, err := r.point(ctx, point, x)
		p := Point{X: x, Values: values, Seconds: time.Since(started).Seconds()}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			p.Missing = r.why(ctx)
		default:
			p.Error = err.Error()
			if r.together {
				stopped = "not tried: " + r.format(x) + " failed"
			}
		}
		r.add(p)
	}
}

// why says what ended the time of a curve.
func (r *curveRun) why(ctx context.Context) string {
	if context.Cause(ctx) == errBound {
		return fmt.Sprintf("cut by the bound of %v", r.config.Bound)
	}
	return "interrupted"
}

func (r *curveRun) point(ctx context.Context, point func(context.Context, *machine, float64) (Values, error), x float64) (Values, error) {
	if !r.together {
		r.stop()
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	values, err := point(ctx, r.machine, x)
	if crashed := r.machine.cluster.Crashed(); crashed != nil {
		err = errors.Join(err, crashed)
	}
	if err != nil {
		return nil, err
	}
	for key, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			delete(values, key) // JSON has no such number, and it says nothing
		}
	}
	return values, nil
}

func (r *curveRun) whole(ctx context.Context) {
	defer r.stop()
	started := time.Now()
	err := r.start(ctx)
	if err == nil {
		err = r.curve.whole(ctx, r.machine, r.config.To, r.add)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.add(Point{X: r.config.To, Missing: r.why(ctx), Seconds: time.Since(started).Seconds()})
	default:
		r.add(Point{X: r.config.To, Error: err.Error(), Seconds: time.Since(started).Seconds()})
	}
}

// start makes a cluster, unless there is one.
func (r *curveRun) start(ctx context.Context) (err error) {
	if r.machine != nil {
		return nil
	}
	if r.dir, err = os.MkdirTemp(r.config.Dir, r.name+"-"); err != nil {
		return err
	}
	config := r.config.Config
	config.Span = r.config.For
	if r.config.LogStore != "" {
		config.NodeArgs = append(config.NodeArgs, "--log-store", r.config.LogStore)
	}
	r.machine, err = newMachine(ctx, config, r.dir)
	return err
}

func (r *curveRun) stop() {
	if r.machine != nil {
		if err := r.machine.stop(); err != nil {
			r.config.Note("%s: stopping: %v", r.name, err)
		}
		r.machine = nil
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
		r.dir = ""
	}
}

// spaced are sizes from a first one to a last one, each about factor times the one before. The last one
// is among them, so a curve ends where it was asked to.
func spaced(first, last, factor float64) []float64 {
	all := []float64{last}
	for x := last / factor; x > first*math.Sqrt(factor); x /= factor {
		all = append(all, math.Round(x))
	}
	if first < last {
		all = append(all, first)
	}
	slices.Reverse(all)
	return all
}

// from are spaced sizes up to any last one.
func from(first, factor float64) func(to float64) []float64 {
	return func(to float64) []float64 { return spaced(first, to, factor) }
}

// fromZero are spaced sizes after a 0.
func fromZero(first, factor float64) func(to float64) []float64 {
	return func(to float64) []float64 {
		if to <= 0 {
			return []float64{0}
		}
		return append([]float64{0}, spaced(min(first, to), to, factor)...)
	}
}

// path is a file of a curve.
func (config CurvesConfig) path(name, ending string) string {
	return filepath.Join(config.Out, name+ending)
}
