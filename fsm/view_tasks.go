package fsm

import (
	"bytes"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// SavedView is what a task has saved in one slot: the checkpoint in slot 0, sub-steps in the ones after it.
type SavedView struct {
	Slot uint32
	Name string // of the sub-step
	Data []byte // a JSON document
}

// Saved lists what a task that is not done has saved, by slot; nothing when it is done, was not made yet,
// or has saved nothing. ErrNotFound: there is no such job or step.
func (v *View) Saved(ref TaskRef) (all []SavedView, err error) {
	defer catch(&err)
	b := v.disk.get(keyJob(ref.Job))
	if b == nil {
		return nil, ErrNotFound
	}
	if g := v.m.graphs.get(v.disk, graphOf(b)); int(ref.Step) >= g.Len() {
		return nil, ErrNotFound
	}
	prefix := keyTaskPart(partSaved, ref)
	v.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
		s := decodeSaved(bytes.Clone(b))
		all = append(all, SavedView{Slot: be.Uint32(k[30:]), Name: s.name, Data: s.data})
		return true
	})
	return all, nil
}

// Step finds a step of a job by its name; "" is the only step of a job of one. ErrNotFound: there is no
// such job or step.
func (v *View) Step(id JobID, name string) (step uint32, err error) {
	defer catch(&err)
	b := v.disk.get(keyJob(id))
	if b == nil {
		return 0, ErrNotFound
	}
	g := v.m.graphs.get(v.disk, graphOf(b))
	if name == "" && g.Len() == 1 {
		return 0, nil
	}
	i, ok := g.Lookup(name)
	if !ok {
		return 0, ErrNotFound
	}
	return uint32(i), nil
}

// LogView is one line of a job's log.
type LogView struct {
	Step    string
	Shard   uint64
	Attempt uint32 // from 1
	TimeMS  int64  // the worker's clock
	Level   int32  // as of log/slog
	Text    string
}

// LogFilter selects lines of a job's log.
type LogFilter struct {
	Step     string  // "" = all
	Shard    *uint64 // nil = all
	MinLevel int32
}

// LogPage is a part of a job's log.
type LogPage struct {
	Lines   []LogView
	Next    uint64 // where the next page begins
	More    bool   // there is one now
	Ended   bool   // the job has ended
	Dropped uint64 // lines of the job that are not here any more, for the log's bounds
}

// Logs reads a job's log, oldest first, from after the position given (0: from the start), and looks at
// up to limit chunks of lines. ErrNotFound: there is no such job.
func (v *View) Logs(id JobID, f LogFilter, after uint64, limit int) (p LogPage, err error) {
	defer catch(&err)
	_, state, err := v.disk.jobHead(id)
	if err != nil {
		return p, err
	}
	p.Ended, p.Next = state.Ended(), after
	head := v.disk.get(keyJobLog(id))
	if head == nil {
		return p, nil
	}
	h := decodeJobLog(head)
	p.Dropped = h.dropped
	g := v.m.graphs.get(v.disk, graphOf(v.disk.mustGet(keyJob(id))))
	looked := 0
	v.disk.scan(keyLogChunk(id, max(after, h.first)), keyLogChunk(id, h.next), func(k, b []byte) bool {
		if looked++; looked > limit {
			p.More = true
			return false
		}
		p.Next = parseLogChunk(k) + 1
		c := decodeLogChunk(bytes.Clone(b))
		step := g.Step(dag.StepID(c.ref.Step)).Name
		if f.Step != "" && f.Step != step || f.Shard != nil && *f.Shard != c.ref.Shard {
			return true
		}
		p.Lines = append(p.Lines, f.lines(step, c)...)
		return true
	})
	return p, nil
}

func (f LogFilter) lines(step string, c *logChunk) (lines []LogView) {
	for _, l := range c.lines {
		if l.GetLevel() >= f.MinLevel {
			lines = append(lines, lineView(step, c, l))
		}
	}
	return lines
}

func lineView(step string, c *logChunk, l *fsmpb.LogLine) LogView {
	return LogView{Step: step, Shard: c.ref.Shard, Attempt: c.attempt, TimeMS: l.GetTimeMs(), Level: l.GetLevel(), Text: l.GetText()}
}

// endReason is why a job is not to go on, "" when it is not known any more.
func (v *View) endReason(id JobID) string {
	b := v.disk.get(keyJob(id))
	if b == nil {
		return ""
	}
	j := decodeJob(id, bytes.Clone(b))
	return j.endReason(v.m.graphs.get(v.disk, j.graph))
}
