package report

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// explanation is the first violation of a run with what the log and the clients say around it.
type explanation struct {
	ID, Rule, Text, About string
	Lines                 []line
	Ops                   []history.Op
}

// line is one entry of the log.
type line struct {
	Index, Term uint64
	At          string
	What        []string
	Here        bool // the entry that the violation names
}

const (
	around    = 6  // entries before and after the one that the violation names
	ofJobMost = 40 // entries that concern its job
	opsMost   = 30
)

// Violations name their places: "index 17", and jobs by their ids.
var (
	indexText = regexp.MustCompile(`index (\d+)`)
	jobText   = regexp.MustCompile(`\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b`)
)

// explain looks the first violation up in the evidence; nil when there is none.
func explain(verdicts []evidence.Verdict, e *evidence.Evidence) *explanation {
	for _, v := range verdicts {
		if v.Held() {
			continue
		}
		x := &explanation{ID: v.ID, Rule: v.Rule}
		if len(v.Violations) > 0 {
			x.Text = v.Violations[0]
		}
		var index uint64
		if m := indexText.FindStringSubmatch(x.Text); m != nil {
			index, _ = strconv.ParseUint(m[1], 10, 64)
		}
		var job fsm.JobID
		named := jobText.FindString(x.Text)
		if named != "" {
			job, _ = fsm.ParseJobID(named)
		}
		x.log(e, index, job)
		for _, op := range e.Ops {
			if named != "" && (op.Key == named || op.Value == named) && len(x.Ops) < opsMost {
				op.Error = short(op.Error)
				x.Ops = append(x.Ops, op)
			}
		}
		return x
	}
	return nil
}

func (x *explanation) log(e *evidence.Evidence, index uint64, job fsm.JobID) {
	ofJob := 0
	for _, entry := range e.Ledger.Entries {
		near := index > 0 && entry.Index+around >= index && entry.Index <= index+around
		what := describe(&entry, job)
		mine := len(what) > 0 && !job.IsZero() && ofJob < ofJobMost
		if mine {
			ofJob++
		}
		if !near && !mine {
			continue
		}
		if len(what) == 0 {
			what = describe(&entry, fsm.JobID{})
		}
		x.Lines = append(x.Lines, line{Index: entry.Index, Term: entry.Term, At: at(&entry, e.Start), What: what, Here: entry.Index == index})
	}
	var about []string
	if index > 0 {
		about = append(about, "the entries around index "+strconv.FormatUint(index, 10))
	}
	if !job.IsZero() {
		about = append(about, "the first entries that concern job "+job.String())
	}
	x.About = "From the committed log: " + strings.Join(about, ", and ") + "."
}

// at is the leader's time of an entry on the run's clock.
func at(e *ledger.Entry, start time.Time) string {
	if e.NowMS == 0 {
		return ""
	}
	return seconds(max(0, time.UnixMilli(e.NowMS).Sub(start)))
}
