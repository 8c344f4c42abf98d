// Package bench measures a cluster on this machine. The nodes are processes of their own with fresh
// data for every workload; client and worker are in this process, so that the CPU time of the servers can
// be told from theirs.
//
// The workloads are those that the project runs against other engines too:
//
//	submit   64 clients submit single tasks, no worker running; then bulks of 1,000
//	drain    20,000 tasks are submitted first; then the time until all are done, results stored
//	latency  one task at a time from submit to result, 500 times; then 200 tasks a second for 12 s
//	chain    200 chains of 10 steps at once; then one chain alone, 20 times
//	map      a map of 1,000 and its fold, 5 times (the median); then one of 10,000
//	features drains with limits, priorities and partitions on, each compared with a plain one of the same run
//	backlog  drain with 10,000 and with 1,000,000 waiting: rate and memory compared
//
// Curves (RunCurves) measure the same machine at many sizes of one thing: see curves.go.
//
// Each task has a JSON payload of 200 bytes and a handler that does nothing but return a small result.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// Config says what to measure.
type Config struct {
	// Workloads to run, in order; see Workloads.
	Workloads []string
	// Nodes of the cluster, each a process.
	Nodes int
	// Tasks of drain (default 20,000) and backlog (default 1,000,000).
	Tasks int
	// Payload of a task in bytes of JSON.
	Payload int
	// Clients is how many goroutines submit, and how many tasks the worker runs at once.
	Clients int
	// Span is how long a workload that has no end by itself goes on.
	Span time.Duration
	// Dir is where the data goes; every workload gets a folder of its own below it, removed at the end.
	Dir string
	// NodeArgs are added to the command line of every node.
	NodeArgs []string
	// Note is told what goes on.
	Note func(format string, args ...any)
}

// Report is what was measured, with the conditions.
type Report struct {
	Version string   `json:"version"`
	System  string   `json:"system"`
	CPUs    int      `json:"cpus"`
	Nodes   int      `json:"nodes"`
	Payload int      `json:"payload_bytes"`
	Clients int      `json:"clients"`
	Started string   `json:"started"`
	Fsync   float64  `json:"fsync_ms"` // median of 50, in Dir
	Results []Result `json:"results"`
}

// Result is one workload's.
type Result struct {
	Workload string  `json:"workload"`
	Values   []Value `json:"values"`
	// ServerCPU and ClientCPU are seconds of processor time while it ran; negative: not known here.
	ServerCPU float64 `json:"server_cpu_seconds"`
	ClientCPU float64 `json:"client_cpu_seconds"`
	// ServerRSS is the largest resident size of one node, in bytes; negative: not known here.
	ServerRSS int64 `json:"server_max_rss_bytes"`
}

// Value is one measure.
type Value struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// workload measures one thing on a fresh cluster.
type workload struct {
	name string
	run  func(context.Context, *machine) ([]Value, error)
}

var workloads = []workload{
	{"submit", submit}, {"drain", drain}, {"latency", latency}, {"chain", chain}, {"map", mapReduce}, {"features", features}, {"backlog", backlog},
}

// Workloads are the names, in the order in which "all" runs them. backlog is not among "all": it
// takes minutes.
func Workloads() []string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return names
}

// All are the workloads of "all".
func All() []string {
	return slices.DeleteFunc(Workloads(), func(name string) bool { return name == "backlog" })
}

// Run measures. What was measured before an error is in the report.
func Run(ctx context.Context, config Config, version string) (*Report, error) {
	report := &Report{
		Version: version, System: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(), CPUs: runtime.NumCPU(),
		Nodes: config.Nodes, Payload: config.Payload, Clients: config.Clients,
		Started: time.Now().UTC().Format(time.RFC3339),
	}
	if !readable() {
		config.Note("this system has no /proc: processor time and memory of the nodes are not measured")
	}
	var err error
	if report.Fsync, err = fsyncTime(config.Dir); err != nil {
		return report, err
	}
	for _, name := range config.Workloads {
		at := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
		if at < 0 {
			return report, fmt.Errorf("unknown workload %q", name)
		}
		result, err := measure(ctx, config, workloads[at])
		if err != nil {
			return report, fmt.Errorf("%s: %w", name, err)
		}
		report.Results = append(report.Results, *result)
	}
	return report, nil
}

// measure runs one workload on a fresh cluster.
func measure(ctx context.Context, config Config, w workload) (result *Result, err error) {
	dir, err := os.MkdirTemp(config.Dir, w.name+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config.Note("%s on %d node(s)", w.name, config.Nodes)
	m, err := newMachine(ctx, config, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	client := cpuOf(os.Getpid())
	values, err := w.run(ctx, m)
	if err != nil {
		return nil, err
	}
	result = &Result{Workload: w.name, Values: values, ServerCPU: -1, ClientCPU: -1, ServerRSS: m.maxRSS()}
	if readable() {
		result.ServerCPU, result.ClientCPU = m.serverCPU(), cpuOf(os.Getpid())-client
	}
	return result, nil
}
