package fsm

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// AttemptView is one attempt of a task as users see it.
type AttemptView struct {
	Step    string
	Ref     TaskRef
	Number  uint32 // from 1 in each round; an attempt that was handed back or lost its worker leaves its number to the next
	Round   uint32 // from 1; RetryJob begins the next
	Fence   Fence
	Session uint64
	Worker  string
	BeganMS int64 // unix ms, by the log
	EndedMS int64 // 0: it runs
	Why     End   // 0: it runs
	Error   *fsmpb.Error

	order uint32 // among those of its task
}

// Places of the attempts that have no key of their own, after all that have one.
const (
	orderSuccess = stepErrorNumber - 2
	orderRunning = stepErrorNumber - 1
)

// AttemptToken is a place in a list of attempts. Zero: before the first.
type AttemptToken struct {
	Ref   TaskRef
	Order uint32
}

func (a *AttemptView) token() AttemptToken { return AttemptToken{a.Ref, a.order} }

func (x AttemptToken) compare(y AttemptToken) int {
	return cmp.Or(x.Ref.compare(y.Ref), cmp.Compare(x.Order, y.Order))
}

// AttemptFilter selects attempts of one job. Empty fields select all.
type AttemptFilter struct {
	Step  string
	Shard *uint64 // with Step
}

// Attempts lists the attempts of a job's tasks in the order of steps, shards and time: those that did not
// succeed (the first and the last 31 of each task), the one that did, and the one that runs. after is the
// last one of the page before. next is zero when this is the last page.
func (v *View) Attempts(id JobID, f AttemptFilter, after AttemptToken, limit int) (all []AttemptView, next AttemptToken, err error) {
	defer catch(&err)
	j := readJob(v.disk, id)
	if j == nil {
		return nil, next, ErrNotFound
	}
	g := v.m.graphs.get(v.disk, j.graph)
	step := dag.StepID(0)
	if f.Step != "" {
		var ok bool
		if step, ok = g.Lookup(f.Step); !ok {
			return nil, next, ErrNotFound
		}
	}
	l := attemptList{v: v, j: j, g: g, after: after, limit: limit + 1}
	for _, part := range []byte{partAttempt, partResult, partTask} {
		l.scan(part, f, uint32(step))
	}
	l.plain(f, uint32(step))
	slices.SortFunc(l.all, func(x, y AttemptView) int { return x.token().compare(y.token()) })
	if len(l.all) > limit {
		l.all = l.all[:limit]
		next = l.all[limit-1].token()
	}
	return l.all, next, nil
}

// attemptList gathers a page from where attempts lie: each place gives its first limit after the token, so
// the first limit of all are among them.
type attemptList struct {
	v     *View
	j     *job
	g     *dag.Graph
	after AttemptToken
	limit int
	all   []AttemptView
}

// scan takes what has keys: attempts, results, and the records of running items.
func (l *attemptList) scan(part byte, f AttemptFilter, step uint32) {
	low := keyData(l.j.id, part)
	high := prefixEnd(low)
	if f.Step != "" {
		low = be.AppendUint32(low, step)
		high = prefixEnd(low)
		if f.Shard != nil {
			low = be.AppendUint64(low, *f.Shard)
			high = prefixEnd(low)
		}
	}
	if from := keyTaskPart(part, l.after.Ref); !l.after.Ref.Job.IsZero() && bytes.Compare(from, low) > 0 {
		low = from
	}
	n := 0
	l.v.disk.scan(low, high, func(k, b []byte) bool {
		if l.add(part, k, b) {
			n++
		}
		return n < l.limit
	})
}

func (l *attemptList) add(part byte, k, b []byte) bool {
	a := AttemptView{Ref: parseTaskPart(k)}
	switch part {
	case partAttempt:
		if _, a.order = parseAttempt(k); a.order == stepErrorNumber {
			return false // the job's error, which no attempt had
		}
		h := decodeAttempt(b)
		a.fill(h.run)
		a.Fence, a.Why, a.Error = h.fence, h.why, h.err
	case partResult:
		r := decodeResult(bytes.Clone(b))
		if r.dead {
			return false
		}
		a.order, a.Fence, a.Why = orderSuccess, r.fence, EndSuccess
		a.fill(r.by)
	case partTask:
		if !l.running(&a, decodeTask(bytes.Clone(b))) {
			return false
		}
	}
	return l.take(a)
}

// plain takes the running attempts of plain steps, whose tasks are in the job's record.
func (l *attemptList) plain(f AttemptFilter, step uint32) {
	for i := range l.j.steps {
		if f.Step != "" && uint32(i) != step || f.Shard != nil && *f.Shard != 0 || l.g.Step(dag.StepID(i)).Kind != dag.StepTask {
			continue
		}
		a := AttemptView{Ref: l.j.ref(uint32(i))}
		if l.running(&a, &l.j.steps[i].task) {
			l.take(a)
		}
	}
}

func (l *attemptList) running(a *AttemptView, tk *task) bool {
	if tk.state != TaskStarted {
		return false
	}
	a.order = orderRunning
	a.Number, a.Round, a.Fence, a.Session, a.Worker = tk.attempts+1, l.j.round+1, tk.fence, tk.session, l.v.worker(tk.session)
	if b := l.v.disk.get(keyLease(tk.session, tk.fence)); b != nil {
		a.BeganMS = decodeLease(b).grantedMS
	}
	return true
}

func (l *attemptList) take(a AttemptView) bool {
	if a.token().compare(l.after) <= 0 && !l.after.Ref.Job.IsZero() {
		return false
	}
	a.Step = l.g.Step(dag.StepID(a.Ref.Step)).Name
	l.all = append(l.all, a)
	return true
}

func (a *AttemptView) fill(r run) {
	a.Number, a.Round, a.Session, a.Worker, a.BeganMS, a.EndedMS = r.number, r.round+1, r.session, r.worker, r.began, r.ended
}
