package checker

import (
	"fmt"
	"time"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// expiries judges when sessions were given up, by the clock of the leader's machine. A leader knows nothing of what
// was heard before its term: a session has its whole time to live from the begin of the term, and from its own.
// Raft's first entry of a term is older than all that its leader does.
func expiries(entries []ledger.Entry) evidence.Verdict {
	v := evidence.Verdict{ID: "A5", Rule: "no session is closed as lost before its time to live is over, counted from its begin and from that of the leader's term"}
	type session struct {
		opened time.Time
		ttl    time.Duration
	}
	sessions := map[uint64]session{}
	var term uint64
	var began time.Time
	for _, entry := range entries {
		if entry.Term != term {
			term, began = entry.Term, entry.AppendedAt
		}
		if entry.Result == nil || entry.AppendedAt.IsZero() || began.IsZero() {
			continue
		}
		for i, c := range entry.Commands {
			a := entry.Result.Answers[i]
			switch k := c.Kind.(type) {
			case *fsmpb.Command_OpenSession:
				if _, known := sessions[a.Session]; a.Refusal == nil && !known {
					sessions[a.Session] = session{entry.AppendedAt, time.Duration(k.OpenSession.TtlMs) * time.Millisecond}
				}
			case *fsmpb.Command_CloseSession:
				s, ok := sessions[k.CloseSession.Session]
				if !ok || !k.CloseSession.Lost {
					continue
				}
				v.Count++
				since := began
				if s.opened.After(since) {
					since = s.opened
				}
				if had := entry.AppendedAt.Sub(since); had < s.ttl {
					v.Violate(fmt.Sprintf("index %d: session %d is closed as lost after %v of term %d; its time to live is %v", entry.Index, k.CloseSession.Session, had.Round(time.Millisecond), term, s.ttl))
				}
			}
		}
	}
	return v
}
