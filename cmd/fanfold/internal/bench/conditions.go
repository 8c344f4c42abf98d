package bench

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Conditions are what a figure is worth nothing without.
type Conditions struct {
	Version  string  `json:"version"`
	Commit   string  `json:"commit"` // "+" at its end: with changes
	System   string  `json:"system"`
	CPU      string  `json:"cpu"`
	CPUs     int     `json:"cpus"`
	Memory   float64 `json:"memory_gib"`
	Nodes    int     `json:"nodes"`
	LogStore string  `json:"log_store"`
	Payload  int     `json:"payload_bytes"`
	Clients  int     `json:"clients"`
	For      float64 `json:"point_seconds"`
	Fsync    float64 `json:"fsync_ms"` // median of 50 appends of 4 KiB, before the curve
	Load     float64 `json:"load_before"`
	LoadEnd  float64 `json:"load_after"` // the benchmark's own work is in it
	Started  string  `json:"started"`
	Ended    string  `json:"ended"`
}

func conditions(config CurvesConfig, version string) (Conditions, error) {
	c := Conditions{
		Version: version, Commit: commit(), System: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
		CPU: procField("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(),
		Nodes: config.Nodes, LogStore: config.LogStore, Payload: config.Payload, Clients: config.Clients, For: config.For.Seconds(),
		Load: load(), Started: time.Now().UTC().Format(time.RFC3339),
	}
	if config.Commit != "" {
		c.Commit = config.Commit
	}
	if c.LogStore == "" {
		c.LogStore = "default"
	}
	kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 64)
	c.Memory = kilobytes / (1 << 20)
	var err error
	c.Fsync, err = fsyncTime(config.Dir)
	return c, err
}

func (c *Conditions) end() {
	c.LoadEnd, c.Ended = load(), time.Now().UTC().Format(time.RFC3339)
}

// lines are for the foot of a figure.
func (c *Conditions) lines() []string {
	return []string{
		fmt.Sprintf("%d node(s), %d CPUs for nodes, workers and clients (%s, %.0f GiB), %s; fsync %.2f ms; log store: %s",
			c.Nodes, c.CPUs, c.CPU, c.Memory, c.System, c.Fsync, c.LogStore),
		fmt.Sprintf("payload %d B and %d clients unless the axis says otherwise; %s to %s; load %.1f before, %.1f after; commit %s",
			c.Payload, c.Clients, c.Started, c.Ended, c.Load, c.LoadEnd, c.Commit),
	}
}

// commit is what the program was built from, as far as it knows.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, changed := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	return revision + changed
}

// procField is the value of the first line "name: value" of a file; "" when there is none.
func procField(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// load is how many processes ran or wanted to, on average of a minute; negative when it is not known.
func load() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(data), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return v
}
