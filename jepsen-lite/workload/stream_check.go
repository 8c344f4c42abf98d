package workload

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// said is a line of a job's log in the last state, and the entry that brought it.
type said struct {
	text  string
	index uint64 // 0: no entry did
}

func checkStream(e *evidence.Evidence) []evidence.Verdict {
	logs := map[string][]said{}
	brought := lineIndexes(e.Ledger.Entries)
	v := e.Ledger.Machine.View()
	defer v.Close()
	for _, op := range e.Ops {
		if op.Kind != opFollow || logs[op.Key] != nil {
			continue
		}
		id, err := fsm.ParseJobID(op.Key)
		if err != nil {
			continue
		}
		logs[op.Key] = []said{}
		for after, more := uint64(0), true; more; {
			p, err := v.Logs(id, fsm.LogFilter{MinLevel: -100}, after, 1000)
			if err != nil {
				break // what was followed is not there: that is said of it
			}
			for _, line := range p.Lines {
				logs[op.Key] = append(logs[op.Key], said{line.Text, brought[op.Key+" "+line.Text]})
			}
			after, more = p.Next, p.More
		}
	}
	return append(judgeFollowers(e.Ops, logs), judgeWatchers(e.Ops, statuses(e.Ledger.Entries)))
}

// lineIndexes are the entries that brought the lines of jobs, by job and text.
func lineIndexes(entries []ledger.Entry) map[string]uint64 {
	all := map[string]uint64{}
	for _, e := range entries {
		for _, c := range e.Commands {
			k, ok := c.Kind.(*fsmpb.Command_LogTask)
			if !ok {
				continue
			}
			for _, t := range k.LogTask.Tasks {
				job := fsm.JobID(t.GetTask().GetJob()).String()
				for _, line := range t.Lines {
					if key := job + " " + line.Text; all[key] == 0 {
						all[key] = e.Index
					}
				}
			}
		}
	}
	return all
}

// judgeFollowers holds every page that a follower was given against the log of the job as the last state has it: of
// what was not dropped for the log's bounds nothing ever changes in it, but that lines are added.
func judgeFollowers(ops []history.Op, logs map[string][]said) []evidence.Verdict {
	pages := evidence.Verdict{ID: "C4", Rule: "a job's log is followed in order, each line once, without a gap, from any node, and is what the cluster's log says at each page's index"}
	source := evidence.Verdict{ID: "C4", Rule: "the lines of an attempt are in its job's log in order, each once, and each was brought by an entry of the log"}
	type cursor struct {
		seen  int // lines
		index uint64
		next  uint64
	}
	at := map[string]*cursor{} // of each follower and job
	for _, op := range ops {
		if op.Kind != opFollow || op.Outcome != history.OK {
			continue
		}
		pages.Count++
		c := at[op.Client+" "+op.Key]
		if c == nil {
			c = &cursor{}
			at[op.Client+" "+op.Key] = c
		}
		fault := func(format string, args ...any) {
			pages.Violate(fmt.Sprintf("index %d: log of job %s, read by %s at %v from %s: ", op.Index, op.Key, op.Client, op.End, op.Node) + fmt.Sprintf(format, args...))
		}
		var p page
		if err := json.Unmarshal([]byte(op.Answer), &p); err != nil {
			fault("%v", err)
			continue
		}
		log := logs[op.Key]
		if op.Index < c.index {
			fault("the page before had index %d", c.index)
		}
		if p.After != c.next || p.Next < p.After {
			fault("the cursor goes from %d to %d; it was %d", p.After, p.Next, c.next)
		}
		for i, line := range p.Lines {
			switch n := c.seen + i; {
			case n >= len(log):
				fault("line %d, %q, is not in the last state, which has %d", n, line, len(log))
			case log[n].text != line:
				fault("line %d is %q; the last state has %q there", n, line, log[n].text)
			case log[n].index > op.Index:
				fault("line %d, %q, came at index %d", n, line, log[n].index)
			}
		}
		c.seen, c.index, c.next = c.seen+len(p.Lines), op.Index, p.Next
		if n := c.seen; !p.More && n < len(log) && log[n].index <= op.Index && log[n].index > 0 {
			fault("there is said to be no more after %d lines; line %d came at index %d", n, n, log[n].index)
		}
		if n := c.seen; p.Ended && !p.More && n < len(log) && log[n].index <= op.Index {
			fault("it ends after %d lines of %d", n, len(log))
		}
	}
	for _, job := range slices.Sorted(maps.Keys(logs)) {
		newest := map[string]string{} // number by attempt
		for _, line := range logs[job] {
			source.Count++
			attempt, number, ok := strings.Cut(line.text, " ")
			if was, more := newest[attempt]; !ok || more && was >= number {
				source.Violate(fmt.Sprintf("index %d: the log of job %s has line %q after line %s of the same attempt", line.index, job, line.text, was))
			}
			if line.index == 0 {
				source.Violate(fmt.Sprintf("the log of job %s has line %q, which no entry has brought", job, line.text))
			}
			newest[attempt] = number
		}
	}
	return []evidence.Verdict{pages, source}
}

// statusText is a status as far as the log says it: the job's state, and its steps': SUCCESS, STARTED with its fence,
// or something else (-).
func statusText(j *apiv1.JobStatus) string {
	text := j.GetState()
	for _, s := range j.GetSteps() {
		switch s.GetState() {
		case "SUCCESS":
			text += " SUCCESS"
		case "STARTED":
			text += fmt.Sprintf(" STARTED(%d.%d)", s.GetFence().GetIndex(), s.GetFence().GetPos())
		default:
			text += " -"
		}
	}
	return text
}

// judgeWatchers holds every status that a watcher was given against what the log says at its index.
func judgeWatchers(ops []history.Op, log map[string][]version) evidence.Verdict {
	v := evidence.Verdict{ID: "C4", Rule: "a watched status is what the log says at its index, never goes back, and comes once in a stream"}
	newest := map[string]history.Op{}
	for _, op := range ops {
		if op.Kind != opWatch || op.Outcome != history.OK {
			continue
		}
		v.Count++
		fault := func(format string, args ...any) {
			v.Violate(fmt.Sprintf("index %d: status of job %s, seen by %s at %v from %s: ", op.Index, op.Key, op.Client, op.End, op.Node) + fmt.Sprintf(format, args...))
		}
		if holds := valueAt(log[op.Key], op.Index); holds != op.Answer {
			fault("it is %s; the log says %s", op.Answer, holds)
		}
		was, ok := newest[op.Client+" "+op.Key]
		switch {
		case !ok:
		case was.Index > op.Index:
			fault("the one before had index %d", was.Index)
		case op.Value != "0" && was.Answer == op.Answer && was.Index == op.Index:
			fault("it came twice in a stream")
		}
		newest[op.Client+" "+op.Key] = op
	}
	return v
}
