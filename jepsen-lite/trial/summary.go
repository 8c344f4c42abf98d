package trial

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

// again is the command that repeats the run with its seed.
func (c *Config) again() string {
	words := []string{c.Program, "run", "--workload", c.Workload}
	if len(c.Nemeses) > 0 {
		words = append(words, "--nemesis", strings.Join(c.Nemeses, ","))
	}
	if c.Mode != Safety {
		words = append(words, "--mode", c.Mode)
	}
	if c.LogStore != "wal" {
		words = append(words, "--log-store", c.LogStore)
	}
	if c.Race {
		words = append(words, "--race")
	}
	return strings.Join(words, " ") + fmt.Sprintf(" --nodes %d --workers %d --clients %d --time %v --seed %d", c.Nodes, c.Workers, c.Clients, c.Time, c.Seed)
}

// Summary is what a run came to.
type Summary struct {
	Workload string   `json:"workload"`
	Nemeses  []string `json:"nemeses"`
	Nodes    int      `json:"nodes"`
	Workers  int      `json:"workers"`
	LogStore string   `json:"log_store"`
	Seed     uint64   `json:"seed"`
	Seconds  float64  `json:"seconds"`

	Operations map[string]map[history.Outcome]int `json:"operations"`
	Entries    int                                `json:"entries"`
	Faults     []evidence.Fault                   `json:"faults"`
	Verdicts   []evidence.Verdict                 `json:"verdicts"`
	// Submissions are what became of the keys that clients submitted.
	Submissions evidence.Submissions `json:"submissions"`
	// Invalid says why the run proves nothing: a fault without effect, too little load.
	Invalid []string `json:"invalid,omitempty"`
	// Gaps are the times of the load in which no client had a success.
	Gaps       []timeline.Gap    `json:"gaps,omitempty"`
	LongestGap time.Duration     `json:"longest_gap"`
	Leaders    []timeline.Leader `json:"leaders"`
	// Again is the command that repeats the run.
	// Recoveries are how soon after each healing something succeeded.
	Recoveries []timeline.Recovery   `json:"recoveries,omitempty"`
	Vitals     []evidence.NodeVitals `json:"vitals"`
	Mode       string                `json:"mode"`
	// Lag is how long the machine kept the runner itself from running, at most.
	Lag   time.Duration `json:"lag"`
	Again string        `json:"again"`
	Dir   string        `json:"dir"`
}

// Violated reports whether an invariant was broken.
func (s *Summary) Violated() bool {
	for i := range s.Verdicts {
		if !s.Verdicts[i].Held() {
			return true
		}
	}
	return false
}

// Save writes the summary beside the evidence, as summary.json.
func (s *Summary) Save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Dir, "summary.json"), append(data, '\n'), 0o644)
}

func count(ops []history.Op) map[string]map[history.Outcome]int {
	n := map[string]map[history.Outcome]int{}
	for _, op := range ops {
		if n[op.Kind] == nil {
			n[op.Kind] = map[history.Outcome]int{}
		}
		n[op.Kind][op.Outcome]++
	}
	return n
}
