package fsm

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// naive is docs/scheduling.md as a program: it looks at every task for every grant, keeps the time of
// every attempt, and shares no code with the scheduler.
type naive struct {
	now      int64
	order    int
	queues   []*naiveQueue // in the order of their numbers
	tasks    []*naiveTask  // that wait, run, or wait for a retry
	sessions []*naiveSession
	limits   []*naiveLimit
	pauses   map[[2]string]int64 // by kind and partition
}

type naiveQueue struct {
	name    string
	paused  bool
	ageing  int64
	weights map[string]uint64
	vtime   uint64
	tags    map[string]uint64 // of partitions in use, and of "" while others are
}

type naiveTask struct {
	id         JobID
	q          *naiveQueue
	kind, part string
	prio       int64 // 0-9
	order      int   // of its place
	since      int64
	waiting    bool
	due        int64 // > 0: waits for a retry
}

type naiveLease struct {
	task    *naiveTask
	g       Grant
	revoked bool
}

type naiveSession struct {
	id       uint64
	kinds    []string
	queues   []string
	slots    []uint64 // per queue, or weights
	shared   uint64
	strict   bool
	draining bool
	pass     uint64
	passes   []uint64
	ahead    []uint64 // leases beyond its slots
	leases   []*naiveLease
}

type naiveLimit struct {
	l     *fsmpb.Limit
	tat   map[string]*big.Rat
	times map[string][]int64
}

func (l *naiveLimit) on(q, kind string) bool {
	if l.l.Scope == fsmpb.LimitScope_LIMIT_SCOPE_QUEUE {
		return l.l.Name == q
	}
	return l.l.Name == kind
}

func (l *naiveLimit) key(part string) string {
	if l.l.PerPartition {
		return part
	}
	return ""
}

func (l *naiveLimit) interval() *big.Rat { return big.NewRat(l.l.PeriodMs, int64(l.l.N)) }

func (n *naive) room(l *naiveLimit, part string) bool {
	key := l.key(part)
	switch l.l.Kind {
	case fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY:
		held := uint64(0)
		for _, s := range n.sessions {
			for _, x := range s.leases {
				if l.on(x.task.q.name, x.task.kind) && l.key(x.task.part) == key {
					held++
				}
			}
		}
		return held < l.l.N
	case fsmpb.LimitKind_LIMIT_KIND_WINDOW:
		begun := uint64(0)
		for _, at := range l.times[key] {
			if at > n.now-l.l.PeriodMs {
				begun++
			}
		}
		return begun < l.l.N
	}
	tat := l.tat[key]
	if tat == nil {
		return true
	}
	early := new(big.Rat).Sub(tat, big.NewRat(n.now, 1))
	slack := new(big.Rat).Mul(l.interval(), big.NewRat(int64(max(1, l.l.Burst))-1, 1))
	return early.Cmp(slack) <= 0
}

func (n *naive) took(l *naiveLimit, part string) {
	key := l.key(part)
	l.times[key] = append(l.times[key], n.now)
	at := big.NewRat(n.now, 1)
	if t := l.tat[key]; t != nil && t.Cmp(at) > 0 {
		at = t
	}
	l.tat[key] = new(big.Rat).Add(at, l.interval())
}

// bringForward: a raised rate has at most used up its whole burst now.
func (l *naiveLimit) bringForward(now int64) {
	spent := new(big.Rat).Mul(l.interval(), big.NewRat(int64(max(1, l.l.Burst)), 1))
	spent.Add(spent, big.NewRat(now, 1))
	for key, tat := range l.tat {
		if tat.Cmp(spent) > 0 {
			l.tat[key] = spent
		}
	}
}

func (n *naive) open(t *naiveTask) bool {
	if t.q.paused || n.pauses[[2]string{t.kind, t.part}] > n.now {
		return false
	}
	for _, l := range n.limits {
		if l.on(t.q.name, t.kind) && !n.room(l, t.part) {
			return false
		}
	}
	return true
}

func (t *naiveTask) rank() int64 { return t.since + t.prio*t.q.ageing }

// first chooses a task of a queue, for any of the sessions.
func (n *naive) first(q *naiveQueue, sessions []*naiveSession) *naiveTask {
	var can []*naiveTask
	for _, t := range n.tasks {
		if t.q == q && t.waiting && n.open(t) && slices.ContainsFunc(sessions, func(s *naiveSession) bool { return slices.Contains(s.kinds, t.kind) && n.begins(s, t) }) {
			can = append(can, t)
		}
	}
	level := make(map[int64]int64)
	for _, t := range can {
		own := int64(0)
		if d := t.rank() - n.now; d > 0 {
			own = min((d+q.ageing-1)/q.ageing, t.prio)
		}
		if old, ok := level[t.prio]; !ok || own < old {
			level[t.prio] = own
		}
	}
	if len(can) == 0 {
		return nil
	}
	return slices.MinFunc(can, func(x, y *naiveTask) int {
		return cmp.Or(cmp.Compare(level[x.prio], level[y.prio]), cmp.Compare(q.tags[x.part], q.tags[y.part]), cmp.Compare(x.rank(), y.rank()), cmp.Compare(x.order, y.order))
	})
}

func (n *naive) inUse(q *naiveQueue, part string) bool {
	return slices.ContainsFunc(n.tasks, func(t *naiveTask) bool { return t.q == q && t.part == part && t.waiting }) || n.leased(q, part)
}

func (n *naive) leased(q *naiveQueue, part string) bool {
	return slices.ContainsFunc(n.sessions, func(s *naiveSession) bool {
		return slices.ContainsFunc(s.leases, func(l *naiveLease) bool { return l.task.q == q && l.task.part == part })
	})
}

// wait makes a task runnable; at a new place unless it comes back.
func (n *naive) wait(t *naiveTask, back bool) {
	if !back {
		n.order++
		t.order, t.since = n.order, n.now
	}
	others := slices.ContainsFunc(n.tasks, func(o *naiveTask) bool { return o.q == t.q && o.part == t.part && o.waiting })
	if _, fair := t.q.tags[t.part]; !others && (t.part != "" || fair || len(t.q.tags) > 0) {
		t.q.tags[t.part] = max(t.q.tags[t.part], t.q.vtime)
	}
	t.waiting, t.due = true, 0
}

func (n *naive) grant(t *naiveTask, s *naiveSession) string {
	t.waiting = false
	named := false
	for part := range t.q.tags {
		named = named || part != ""
	}
	if named {
		t.q.vtime = max(t.q.vtime, t.q.tags[t.part])
		t.q.tags[t.part] += (1 << 20) / max(1, t.q.weights[t.part])
	}
	for _, l := range n.limits {
		if l.on(t.q.name, t.kind) {
			n.took(l, t.part)
		}
	}
	s.leases = append(s.leases, &naiveLease{task: t})
	if i := slices.Index(s.queues, t.q.name); s.shared > 0 && !s.strict {
		s.pass = max(s.pass, s.passes[i])
		s.passes[i] = s.pass + (1<<20)/s.slots[i]
	}
	return fmt.Sprintf("%s to %d", t.id, s.id)
}

func (s *naiveSession) used(q string) (used uint64) {
	for _, l := range s.leases {
		if l.task.q.name == q {
			used++
		}
	}
	return used
}

// free is the slots for a task of a queue.
func (s *naiveSession) free(q string) uint64 {
	i := slices.Index(s.queues, q)
	switch {
	case s.draining || i < 0:
		return 0
	case s.shared > 0:
		return s.shared - min(s.shared, uint64(len(s.leases)))
	}
	return s.slots[i] + s.ahead[i] - min(s.slots[i]+s.ahead[i], s.used(q))
}

// begins: a task under a limit needs a slot, and not room beyond the slots.
func (n *naive) begins(s *naiveSession, t *naiveTask) bool {
	limited := slices.ContainsFunc(n.limits, func(l *naiveLimit) bool { return l.on(t.q.name, t.kind) })
	i := slices.Index(s.queues, t.q.name)
	return !limited || s.shared > 0 || s.used(t.q.name) < s.slots[i]
}

// freer: s is to be given a task of a queue rather than o.
func (s *naiveSession) freer(o *naiveSession, q string) bool {
	i, k := slices.Index(s.queues, q), slices.Index(o.queues, q)
	idle, theirs := s.slots[i]-min(s.slots[i], s.used(q)), o.slots[k]-min(o.slots[k], o.used(q))
	return idle > theirs || idle == theirs && s.free(q) > o.free(q)
}

// match grants what can be granted.
func (n *naive) match() (grants []string) {
	for {
		var best *naiveTask
		for _, q := range n.queues {
			var own []*naiveSession
			for _, s := range n.sessions {
				if s.shared == 0 && s.free(q.name) > 0 {
					own = append(own, s)
				}
			}
			t := n.first(q, own)
			if t != nil && (best == nil || n.joint() && cmp.Or(cmp.Compare(t.rank(), best.rank()), cmp.Compare(t.order, best.order)) < 0) {
				best = t
			}
		}
		if best == nil {
			break
		}
		var taker *naiveSession
		for _, s := range n.sessions {
			if s.shared == 0 && slices.Contains(s.kinds, best.kind) && s.free(best.q.name) > 0 && n.begins(s, best) && (taker == nil || s.freer(taker, best.q.name)) {
				taker = s
			}
		}
		grants = append(grants, n.grant(best, taker))
	}
	done := make(map[*naiveSession]bool)
	for {
		var s *naiveSession
		for _, o := range n.sessions {
			if o.shared > 0 && !done[o] && o.free(o.queues[0]) > 0 && (s == nil || o.free(o.queues[0]) > s.free(s.queues[0])) {
				s = o
			}
		}
		if s == nil {
			return grants
		}
		if t := n.nextOf(s); t != nil {
			grants = append(grants, n.grant(t, s))
		} else {
			done[s] = true
		}
	}
}

func (n *naive) joint() bool {
	return slices.ContainsFunc(n.limits, func(l *naiveLimit) bool { return l.l.Scope == fsmpb.LimitScope_LIMIT_SCOPE_TASK })
}

func (n *naive) nextOf(s *naiveSession) *naiveTask {
	order := make([]int, len(s.queues))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		if s.strict {
			return cmp.Compare(s.slots[y], s.slots[x])
		}
		return cmp.Compare(max(s.passes[x], s.pass), max(s.passes[y], s.pass))
	})
	for _, i := range order {
		if t := n.first(n.queue(s.queues[i]), []*naiveSession{s}); t != nil {
			return t
		}
	}
	return nil
}

func (n *naive) queue(name string) *naiveQueue {
	return n.queues[slices.IndexFunc(n.queues, func(q *naiveQueue) bool { return q.name == name })]
}

// fire ends the backoffs that are over.
func (n *naive) fire() {
	var due []*naiveTask
	for _, t := range n.tasks {
		if t.due > 0 && t.due <= n.now {
			due = append(due, t)
		}
	}
	slices.SortFunc(due, func(x, y *naiveTask) int { return cmp.Or(cmp.Compare(x.due, y.due), bytes.Compare(x.id[:], y.id[:])) })
	for _, t := range due {
		n.wait(t, false)
	}
}

// forget ends an entry.
func (n *naive) forget() {
	for _, q := range n.queues {
		named := false
		for part := range q.tags {
			if part != "" && !n.inUse(q, part) {
				delete(q.tags, part)
			} else if part != "" {
				named = true
			}
		}
		if !named {
			q.vtime = 0
			clear(q.tags)
		}
	}
}

// duel applies the same commands to the machine and to the model.
type duel struct {
	s      *script
	m      *naive
	n      int
	cmds   []*fsmpb.Command
	effect []func(a Answer)
}

func (d *duel) add(c *fsmpb.Command, effect func(a Answer)) {
	d.cmds, d.effect = append(d.cmds, c), append(d.effect, effect)
}

// flush applies what was added as one entry, and compares the grants.
func (d *duel) flush(t *rapid.T) {
	h := d.s.h
	d.m.now = h.now
	r := h.apply(d.cmds...)
	d.m.fire()
	for i, f := range d.effect {
		if a := r.Answers[i]; a.Refusal == nil || a.Refusal.Code == CodeCanceled {
			f(a)
		} else {
			t.Fatalf("%v: %v", d.cmds[i], a.Refusal)
		}
	}
	d.cmds, d.effect = nil, nil
	want := d.m.match()
	var got []string
	for _, g := range r.Grants {
		got = append(got, fmt.Sprintf("%s to %d", g.Task.Job, g.Session))
		for _, s := range d.m.sessions {
			for _, l := range s.leases {
				if l.task.id == g.Task.Job && s.id == g.Session && l.g.Session == 0 {
					l.g = g
				}
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("grants at %d:\n%q\nthe model says\n%q\n%s", h.now, got, want, h.m.Dump())
	}
	d.m.forget()
}

func (d *duel) maybeFlush(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "together") > 0 {
		d.flush(t)
	}
}

// TestMatch_GrantsEqualTheNaiveModel is the proof that the trees, windows and parked lanes of the
// scheduler decide what docs/scheduling.md says: every grant, in order, over random commands, jumps of time,
// restarts and restores from snapshots.
func TestMatch_GrantsEqualTheNaiveModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := &duel{s: newScript(t, rt), m: &naive{pauses: make(map[[2]string]int64)}}
		defer func() { d.s.h.m.Close() }()
		for _, name := range []string{"a", "b"} {
			d.m.queues = append(d.m.queues, &naiveQueue{name: name, ageing: 1000, weights: make(map[string]uint64), tags: make(map[string]uint64)})
			d.add(&fsmpb.Command{Kind: &fsmpb.Command_SetQueue{SetQueue: &fsmpb.SetQueue{Namespace: "default", Queue: name, AgeingMs: proto.Int64(1000)}}}, func(Answer) {})
		}
		d.flush(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"submit": d.submit, "submit2": d.submit, "submit3": d.submit, "open": d.open, "close": d.close, "drain": d.drain, "prefetch": d.prefetch,
			"report": d.report, "report2": d.report, "report3": d.report, "cancel": d.cancel,
			"queue": d.setQueue, "pause": d.pause, "limit": d.setLimit, "unlimit": d.deleteLimit, "unlimit2": d.deleteLimit,
			"time": d.time, "time2": d.time, "time3": d.time,
			"reopen":   func(t *rapid.T) { d.flush(t); d.s.h.reopen() },
			"snapshot": func(t *rapid.T) { d.flush(t); d.s.snapshot(t) },
		})
		d.flush(rt)
		d.s.h.replay(1000)
	})
}

func (d *duel) time(t *rapid.T) {
	d.flush(t)
	d.s.h.now += rapid.SampledFrom([]int64{1, 100, 100, 200, 300, 400, 1000, 5000}).Draw(t, "ms")
	d.flush(t)
}

func (d *duel) submit(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "jobs") {
		d.n++
		name := fmt.Sprint("job", d.n)
		q := rapid.SampledFrom(d.m.queues).Draw(t, "queue")
		task := &naiveTask{id: jobID(name), q: q, kind: rapid.SampledFrom([]string{"t", "u"}).Draw(t, "kind"), prio: rapid.SampledFrom([]int64{0, 2, 5, 5, 5, 9}).Draw(t, "prio")}
		task.part = rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "partition")
		step := dag.Step{Task: task.kind, Input: dag.Input(), Options: dag.Options{Queue: q.name, Retry: dag.Retry{MaxAttempts: 100, CrashLimit: 100}}}
		o := &fsmpb.JobOptions{Partition: task.part, Priority: uint32(task.prio + 1)}
		input := `1`
		if rapid.Bool().Draw(t, "by input") {
			step.Options.PartitionBy, step.Options.Priority = "/p", uint8(task.prio+1)
			input, o = fmt.Sprintf(`{"p":%q}`, task.part), &fsmpb.JobOptions{Partition: "w"}
		}
		c := submit(name, build(d.s.h.t, "one", func(b *dag.Builder) { b.Output(b.Task("s", step)) }), input)
		c.GetSubmitJob().Options, _ = proto.Marshal(o)
		d.add(c, func(Answer) {
			d.m.tasks = append(d.m.tasks, task)
			d.m.wait(task, false)
		})
	}
	d.maybeFlush(t)
}

func (d *duel) open(t *rapid.T) {
	d.flush(t)
	if len(d.m.sessions) > 4 {
		t.Skip()
	}
	d.n++
	s := &naiveSession{kinds: rapid.SampledFrom([][]string{{"t", "u"}, {"t", "u"}, {"t"}, {"u"}}).Draw(t, "kinds")}
	s.queues = rapid.SampledFrom([][]string{{"a", "b"}, {"b", "a"}, {"a"}, {"b"}}).Draw(t, "queues")
	c := openWorker(fmt.Sprint("w", d.n), 1, s.kinds...)
	o := c.GetOpenSession()
	if rapid.IntRange(0, 2).Draw(t, "sharing") == 0 {
		s.shared = uint64(rapid.IntRange(1, 3).Draw(t, "shared"))
		s.strict = rapid.Bool().Draw(t, "strict")
		o.Slots, o.Strict = uint32(s.shared), s.strict
	}
	o.Queues = nil
	for _, q := range s.queues {
		n := rapid.IntRange(1, 3).Draw(t, "slots")
		s.slots, s.passes, s.ahead = append(s.slots, uint64(n)), append(s.passes, 0), append(s.ahead, 0)
		o.Queues = append(o.Queues, &fsmpb.QueueSlots{Queue: q, Slots: uint32(n)})
	}
	d.add(c, func(a Answer) {
		s.id = a.Session
		d.m.sessions = append(d.m.sessions, s)
	})
	d.flush(t)
}

func (d *duel) drop(s *naiveSession, l *naiveLease) {
	s.leases = slices.DeleteFunc(s.leases, func(x *naiveLease) bool { return x == l })
}

func (d *duel) close(t *rapid.T) {
	d.flush(t)
	if len(d.m.sessions) == 0 || rapid.IntRange(0, 2).Draw(t, "rarely") > 0 {
		t.Skip()
	}
	s := rapid.SampledFrom(d.m.sessions).Draw(t, "session")
	d.add(closeWorker(s.id, rapid.Bool().Draw(t, "lost")), func(Answer) {
		leases := slices.Clone(s.leases)
		slices.SortFunc(leases, func(x, y *naiveLease) int { return x.g.Fence.Compare(y.g.Fence) })
		for _, l := range leases {
			d.drop(s, l)
			if !l.revoked {
				d.m.wait(l.task, true)
			}
		}
		d.m.sessions = slices.DeleteFunc(d.m.sessions, func(x *naiveSession) bool { return x == s })
	})
	d.flush(t)
}

func (d *duel) drain(t *rapid.T) {
	if len(d.m.sessions) == 0 || rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip()
	}
	d.flush(t)
	s := rapid.SampledFrom(d.m.sessions).Draw(t, "session")
	d.add(&fsmpb.Command{Kind: &fsmpb.Command_DrainSession{DrainSession: &fsmpb.DrainSession{Session: s.id}}}, func(Answer) { s.draining = true })
	d.flush(t)
}

func (d *duel) prefetch(t *rapid.T) {
	if len(d.m.sessions) == 0 {
		t.Skip()
	}
	d.flush(t)
	s := rapid.SampledFrom(d.m.sessions).Draw(t, "session")
	if s.shared > 0 {
		t.Skip()
	}
	i := rapid.IntRange(0, len(s.queues)-1).Draw(t, "queue")
	n := rapid.IntRange(0, 3).Draw(t, "tasks")
	d.add(prefetch(s.id, s.queues[i], n), func(a Answer) {
		if a.Refusal == nil {
			s.ahead[i] = uint64(n)
		}
	})
	d.flush(t)
}

func (d *duel) report(t *rapid.T) {
	d.flush(t)
	type held struct {
		s *naiveSession
		l *naiveLease
	}
	var all []held
	for _, s := range d.m.sessions {
		for _, l := range s.leases {
			all = append(all, held{s, l})
		}
	}
	if len(all) == 0 {
		t.Skip()
	}
	for range rapid.IntRange(1, min(3, len(all))).Draw(t, "n") {
		i := rapid.IntRange(0, len(all)-1).Draw(t, "lease")
		x := all[i]
		all = slices.Delete(all, i, i+1)
		task, g := x.l.task, x.l.g
		var c *fsmpb.Command
		after := func() {}
		switch rapid.IntRange(0, 5).Draw(t, "how") {
		case 0:
			c = failure(g, "err", false)
			c.GetFailTask().RetryAfterMs = rapid.SampledFrom([]int64{1, 100, 1000}).Draw(t, "after")
			after = func() { task.due = d.m.now + c.GetFailTask().RetryAfterMs }
		case 1:
			c = release(g)
			after = func() { d.m.wait(task, true) }
		case 2:
			ms := rapid.SampledFrom([]int64{1, 100, 900}).Draw(t, "pause")
			c = failure(g, "429", false)
			c.GetFailTask().RateLimitedMs = ms
			after = func() {
				key := [2]string{task.kind, task.part}
				d.m.pauses[key] = max(d.m.pauses[key], d.m.now+ms)
				d.m.wait(task, true)
			}
		default:
			c = complete(g, `1`)
			after = func() { d.m.tasks = slices.DeleteFunc(d.m.tasks, func(o *naiveTask) bool { return o == task }) }
		}
		d.add(c, func(Answer) {
			d.drop(x.s, x.l)
			if !x.l.revoked {
				after()
			}
		})
	}
	d.flush(t)
}

func (d *duel) cancel(t *rapid.T) {
	d.flush(t)
	if len(d.m.tasks) == 0 {
		t.Skip()
	}
	task := rapid.SampledFrom(d.m.tasks).Draw(t, "task")
	d.add(cancel(task.id), func(Answer) {
		for _, s := range d.m.sessions {
			for _, l := range s.leases {
				l.revoked = l.revoked || l.task == task
			}
		}
		task.waiting = false
		d.m.tasks = slices.DeleteFunc(d.m.tasks, func(o *naiveTask) bool { return o == task })
	})
	d.flush(t)
}

func (d *duel) setQueue(t *rapid.T) {
	q := rapid.SampledFrom(d.m.queues).Draw(t, "queue")
	c := &fsmpb.SetQueue{Namespace: "default", Queue: q.name}
	part, w := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "partition"), rapid.IntRange(0, 4).Draw(t, "weight")
	c.Weights = map[string]uint32{part: uint32(w)}
	ageing := rapid.SampledFrom([]int64{-1, 0, 100, 1000}).Draw(t, "ageing")
	c.AgeingMs = &ageing
	if rapid.IntRange(0, 2).Draw(t, "rarely") > 0 {
		t.Skip()
	}
	d.add(&fsmpb.Command{Kind: &fsmpb.Command_SetQueue{SetQueue: c}}, func(Answer) {
		q.weights[part] = uint64(w)
		q.ageing = map[int64]int64{-1: 1 << 40, 0: 60_000, 100: 100, 1000: 1000}[ageing]
	})
	d.maybeFlush(t)
}

func (d *duel) pause(t *rapid.T) {
	q := rapid.SampledFrom(d.m.queues).Draw(t, "queue")
	c := &fsmpb.Command{Kind: &fsmpb.Command_PauseQueue{PauseQueue: &fsmpb.PauseQueue{Namespace: "default", Queue: q.name}}}
	paused := rapid.IntRange(0, 2).Draw(t, "paused") == 0
	if !paused {
		c = &fsmpb.Command{Kind: &fsmpb.Command_ResumeQueue{ResumeQueue: &fsmpb.ResumeQueue{Namespace: "default", Queue: q.name}}}
	}
	d.add(c, func(Answer) { q.paused = paused })
	d.maybeFlush(t)
}

// setLimit draws periods that only shrink for a window (what lies before a shorter one is forgotten), and
// that n divides for a rate (a change of n rounds to its units).
func (d *duel) setLimit(t *rapid.T) {
	if len(d.m.limits) > 3 {
		t.Skip()
	}
	l := &fsmpb.Limit{Namespace: "default", Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "queue")}
	if rapid.Bool().Draw(t, "of a task") {
		l.Scope, l.Name = fsmpb.LimitScope_LIMIT_SCOPE_TASK, rapid.SampledFrom([]string{"t", "u"}).Draw(t, "kind")
	}
	l.Kind = rapid.SampledFrom([]fsmpb.LimitKind{1, 2, 3}).Draw(t, "limit")
	l.PerPartition = rapid.Bool().Draw(t, "per partition")
	l.N = rapid.SampledFrom([]uint64{1, 2, 4}).Draw(t, "n")
	if l.Kind != fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
		l.PeriodMs = 400
	}
	if l.Kind == fsmpb.LimitKind_LIMIT_KIND_RATE {
		l.PeriodMs = rapid.SampledFrom([]int64{100, 400, 1000}).Draw(t, "period")
		l.Burst = uint64(rapid.IntRange(1, 3).Draw(t, "burst"))
	}
	d.add(&fsmpb.Command{Kind: &fsmpb.Command_SetLimit{SetLimit: &fsmpb.SetLimit{Limit: l}}}, func(Answer) {
		if i := d.limit(l); i >= 0 {
			d.m.limits[i].l = l
			d.m.limits[i].bringForward(d.m.now)
			return
		}
		d.m.limits = append(d.m.limits, &naiveLimit{l: l, tat: make(map[string]*big.Rat), times: make(map[string][]int64)})
	})
	d.maybeFlush(t)
}

func (d *duel) limit(l *fsmpb.Limit) int {
	return slices.IndexFunc(d.m.limits, func(x *naiveLimit) bool {
		return x.l.Scope == l.Scope && x.l.Name == l.Name && x.l.Kind == l.Kind && x.l.PerPartition == l.PerPartition
	})
}

func (d *duel) deleteLimit(t *rapid.T) {
	d.flush(t)
	if len(d.m.limits) == 0 {
		t.Skip()
	}
	l := rapid.SampledFrom(d.m.limits).Draw(t, "limit").l
	d.add(&fsmpb.Command{Kind: &fsmpb.Command_DeleteLimit{DeleteLimit: &fsmpb.DeleteLimit{Limit: l}}}, func(Answer) {
		i := d.limit(l)
		d.m.limits = slices.Delete(d.m.limits, i, i+1)
	})
	d.flush(t)
}
