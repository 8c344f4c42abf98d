package timeline

import (
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// Leader is the begin of a term of which something was committed. A term in which nobody won, or whose
// leader committed nothing, is not in the log.
type Leader struct {
	Term  uint64        `json:"term"`
	Index uint64        `json:"index"` // the term's first entry
	At    time.Duration `json:"at"`    // of its first command, by the leader's clock
}

// Leaders reads the terms off the log. start is when the run's clock was at zero.
func Leaders(entries []ledger.Entry, start time.Time) (leaders []Leader) {
	timed := true
	for _, e := range entries {
		if n := len(leaders); n == 0 || e.Term != leaders[n-1].Term {
			leaders = append(leaders, Leader{Term: e.Term, Index: e.Index})
			timed = false
		}
		if !timed && e.NowMS > 0 {
			leaders[len(leaders)-1].At = time.UnixMilli(e.NowMS).Sub(start)
			timed = true
		}
	}
	return leaders
}
