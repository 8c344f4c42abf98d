package checker

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// uniqueKey names a unique key: equal keys of different workflows, or modes, never meet.
type uniqueKey struct {
	namespace, workflow, key string
	mode                     fsmpb.Unique_Mode
	derived                  bool
}

// claim is what the log says of a key so far.
type claim struct {
	// holder is the job that stands for others: the living one (UNIQUE), the one that began the period (THROTTLE), or
	// the one that waits (DEBOUNCE). Zero: none.
	holder fsm.JobID
	until  int64             // unix ms, when holder has no claim any more; 0: no such time
	since  int64             // DEBOUNCE: unix ms of the first submission of the wait
	merged []fsm.JobID       // DEBOUNCE: submissions that holder stands for
	living map[fsm.JobID]int // KEEP_LATEST: how often each living job was granted a task
}

// uniqueFold folds the log over who has which unique key. Ends of jobs come after the commands of an entry, for which
// command has ended a job is not said: what ends in the entry of a submission may have ended before it.
type uniqueFold struct {
	v       map[fsmpb.Unique_Mode]*evidence.Verdict
	claims  map[uniqueKey]*claim
	keyOf   map[fsm.JobID]uniqueKey
	options map[fsm.JobID]*fsmpb.Unique
	ends    map[jobEnd]bool
}

type jobEnd struct {
	job   fsm.JobID
	index uint64
}

// unique judges the four modes of unique keys.
func unique(all []event) []evidence.Verdict {
	f := &uniqueFold{
		v: map[fsmpb.Unique_Mode]*evidence.Verdict{
			fsmpb.Unique_UNIQUE:      {ID: "S9", Rule: "a unique key has at most one living holder, who is told of another job is told of the holder, and nobody is refused while there is none"},
			fsmpb.Unique_THROTTLE:    {ID: "S9", Rule: "a throttled key makes one job in its period, of which the others are told"},
			fsmpb.Unique_DEBOUNCE:    {ID: "S9", Rule: "a debounced key has one waiting job, of which all are told, and which starts when nothing has come for its time"},
			fsmpb.Unique_KEEP_LATEST: {ID: "S9", Rule: "of a keep-latest key one job runs at a time, and only the latest waits"},
		},
		claims: map[uniqueKey]*claim{}, keyOf: map[fsm.JobID]uniqueKey{}, options: map[fsm.JobID]*fsmpb.Unique{}, ends: map[jobEnd]bool{},
	}
	graph := graphs(all)
	for _, e := range all {
		if e.what == ended {
			f.ends[jobEnd{e.job, e.index}] = true
		}
	}
	for _, e := range all {
		switch e.what {
		case submitted, deduplicated, rejected:
			u := uniqueOf(e.submit)
			if u == nil {
				continue
			}
			k := uniqueKey{namespace: e.submit.Namespace, key: u.Key, mode: u.Mode, derived: u.Derived}
			if g := graph[e.job]; e.what == submitted && g != nil {
				k.workflow = g.Name
			} else if g := decode(e.submit.Graph); g != nil {
				k.workflow = g.Name
			}
			f.submission(e, k, u)
		default:
			if k, ok := f.keyOf[e.job]; ok {
				f.later(e, k)
			}
		}
	}
	var list []evidence.Verdict
	for _, mode := range []fsmpb.Unique_Mode{fsmpb.Unique_UNIQUE, fsmpb.Unique_THROTTLE, fsmpb.Unique_DEBOUNCE, fsmpb.Unique_KEEP_LATEST} {
		list = append(list, *f.v[mode])
	}
	return list
}

// submission judges what became of one.
func (f *uniqueFold) submission(e event, k uniqueKey, u *fsmpb.Unique) {
	c := f.claims[k]
	if c == nil {
		c = &claim{living: map[fsm.JobID]int{}}
		f.claims[k] = c
	}
	v := f.v[k.mode]
	held := !c.holder.IsZero() && (c.until == 0 || e.nowMS < c.until)
	ending := f.ends[jobEnd{c.holder, e.index}]
	broken := func(format string, args ...any) {
		v.Violate(fmt.Sprintf("index %d: unique key %q: ", e.index, k.key) + fmt.Sprintf(format, args...))
	}
	switch {
	case e.what == rejected:
		if v.Count++; !held || u.OnConflict != fsmpb.Unique_REJECT {
			broken("a submission is refused because it is held, and it is not")
		}
	case e.what == deduplicated:
		if string(e.submit.Job) == string(e.job[:]) || e.submit.Key != "" {
			return // by its id, or by an idempotency key
		}
		v.Count++
		switch {
		case k.mode == fsmpb.Unique_KEEP_LATEST, u.OnConflict != fsmpb.Unique_EXISTING:
			broken("a submission is answered with job %s, and not by its own mode", e.job)
		case e.job != c.holder, !held && !e.more:
			broken("a submission is answered with job %s, which does not hold it", e.job)
		case k.mode == fsmpb.Unique_DEBOUNCE && !slices.Contains(c.merged, fsm.JobID(e.submit.Job)):
			c.merged = append(c.merged, fsm.JobID(e.submit.Job))
			c.wait(e.nowMS, u)
		}
	default:
		v.Count++
		f.keyOf[e.job], f.options[e.job] = k, u
		switch {
		case k.mode == fsmpb.Unique_KEEP_LATEST:
			for job, grants := range c.living {
				if grants == 0 && !f.ends[jobEnd{job, e.index}] {
					broken("job %s is made, and job %s goes on waiting", e.job, job)
				}
			}
			c.living[e.job] = 0
			return
		case !held, ending && k.mode != fsmpb.Unique_THROTTLE:
		default:
			broken("job %s is made, and job %s has it", e.job, c.holder)
		}
		if !held {
			c.since = e.nowMS
		}
		c.take(e.job, e.nowMS, u)
	}
}

// take makes a job the holder.
func (c *claim) take(job fsm.JobID, now int64, u *fsmpb.Unique) {
	c.holder, c.until, c.merged = job, 0, nil
	switch {
	case u.Mode == fsmpb.Unique_DEBOUNCE:
		c.wait(now, u)
	case u.PeriodMs > 0:
		c.until = now + u.PeriodMs
	}
}

// wait begins a debounced job's wait anew.
func (c *claim) wait(now int64, u *fsmpb.Unique) {
	if c.until = now + u.PeriodMs; u.MaxMs > 0 {
		c.until = min(c.until, c.since+u.MaxMs)
	}
}

// later is what becomes of a job with a key.
func (f *uniqueFold) later(e event, k uniqueKey) {
	c, u, v := f.claims[k], f.options[e.job], f.v[k.mode]
	switch e.what {
	case granted:
		c.granted(e, k, u, v)
	case ended:
		delete(c.living, e.job)
		if c.holder == e.job && k.mode != fsmpb.Unique_THROTTLE {
			c.holder = fsm.JobID{}
		}
	case retried:
		switch k.mode {
		case fsmpb.Unique_UNIQUE:
			if !c.holder.IsZero() && c.holder != e.job && (c.until == 0 || e.nowMS < c.until) && !f.ends[jobEnd{c.holder, e.index}] {
				v.Violate(fmt.Sprintf("index %d: job %s runs again with the unique key %q, which job %s holds", e.index, e.job, k.key, c.holder))
			}
			c.take(e.job, e.nowMS, u)
		case fsmpb.Unique_KEEP_LATEST:
			c.living[e.job] = 0
		}
	}
}

// granted judges that a job may run by now.
func (c *claim) granted(e event, k uniqueKey, u *fsmpb.Unique, v *evidence.Verdict) {
	switch k.mode {
	case fsmpb.Unique_UNIQUE:
		if c.holder == e.job && u.Scope == fsmpb.Unique_UNTIL_START {
			c.holder = fsm.JobID{}
		}
	case fsmpb.Unique_DEBOUNCE:
		if c.holder != e.job {
			return
		}
		if e.nowMS < c.until {
			v.Violate(fmt.Sprintf("index %d: job %s of the debounced key %q starts %d ms before its wait is over", e.index, e.job, k.key, c.until-e.nowMS))
		}
		c.holder = fsm.JobID{}
	case fsmpb.Unique_KEEP_LATEST:
		for job, grants := range c.living {
			if job != e.job && grants > 0 {
				v.Violate(fmt.Sprintf("index %d: job %s of the unique key %q starts, and job %s has not ended", e.index, e.job, k.key, job))
			}
		}
		c.living[e.job]++
	}
}

// uniqueOf is the unique key of a submission; nil: it has none.
func uniqueOf(c *fsmpb.SubmitJob) *fsmpb.Unique {
	var o fsmpb.JobOptions
	if len(c.Options) == 0 || proto.Unmarshal(c.Options, &o) != nil {
		return nil
	}
	return o.Unique
}
