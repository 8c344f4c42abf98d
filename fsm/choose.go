package fsm

// The choice of the next task of a queue. docs/scheduling.md has the rule in words, and
// TestMatch_GrantsEqualTheNaiveModel has it as a program that is slow and obviously right.

// pick is a task that can be granted.
type pick struct {
	lane  *lane
	head  item
	taker *slotGroup
	rank  int64
	tag   uint64
	level int64
}

// rank is the virtual deadline of a task: when it began to wait, and one ageing more for each level of
// priority. The order by rank does not change while time goes by, and nobody starves in it.
func (l *lane) rank(i item, ageing int64) int64 { return sinceMS(i.b) + int64(l.prio-1)*ageing }

// before is the order by place.
func (p *pick) before(o *pick) bool {
	if p.rank != o.rank {
		return p.rank < o.rank
	}
	if p.head.b != o.head.b {
		return p.head.b < o.head.b
	}
	return p.head.ref.compare(o.head.ref) < 0
}

// best chooses the task, among those that a free session offers and no limit holds back, and the
// session: nil when there is none.
func (t *tx) best(q *queue, free []*slotGroup) (*lane, item, *slotGroup) {
	if q.paused || len(free) == 0 {
		return nil, item{}, nil
	}
	var p *pick
	if len(q.parts) > 0 {
		p = t.bestFair(q, free)
	} else {
		p = t.bestPlain(q, free)
	}
	if p == nil {
		return nil, item{}, nil
	}
	return p.lane, p.head, p.taker
}

// bestPlain chooses where all tasks are of the partition "": the first by place.
func (t *tx) bestPlain(q *queue, free []*slotGroup) *pick {
	var best, p pick
	var kind uint32
	var taker *slotGroup
	looked := false // at the limits of the kind
	ageing := q.ageing()
	for _, c := range q.classes {
		if c.kind != kind {
			kind = c.kind
			taker = mostFree(free, kind, t.m.limited(q, kind))
			looked = false
		}
		if taker == nil {
			continue
		}
		i, ok := c.plain.first(t)
		if !ok {
			continue
		}
		if !looked {
			looked = true
			if !t.open(q, kind) {
				taker = nil
				continue
			}
		}
		p = pick{lane: c.plain, head: i, taker: taker, rank: c.plain.rank(i, ageing)}
		if best.lane == nil || p.before(&best) {
			best = p
		}
	}
	if best.lane == nil {
		return nil
	}
	return &best
}

// open reports whether the limits have room for a task of the partition ""; if not, and it is a matter
// of time, the queue is looked at again then.
func (t *tx) open(q *queue, kind uint32) bool {
	k := t.m.names.kinds[kind]
	if len(q.limits)+len(k.limits)+len(t.m.pauses) == 0 {
		return true
	}
	return !t.m.waitFor(q, t.m.whole(q, k)) && !t.m.waitFor(q, t.m.narrow(q, k, ""))
}

// waitFor reports whether limits are full, and notes when match has to look at the queue again.
func (m *Machine) waitFor(q *queue, f full) bool {
	if f.yes && f.on == nil && (q.wakeMS == 0 || f.until < q.wakeMS) {
		q.wakeMS = f.until
	}
	return f.yes
}

// bestFair chooses where tasks of several partitions wait or run.
//
// Each priority has a level: its number, less one for every ageing that its oldest task, of those that
// can be granted, has waited, and not below 0. The lowest level goes first; in it, whichever its
// priority, the partition with the lowest tag; of that, the first by place.
//
// The naive way, a level for each task by its own age, lets the backlog of one partition, which is old,
// go before the fresh task of another for as long as it lasts.
func (t *tx) bestFair(q *queue, free []*slotGroup) *pick {
	m := t.m
	picks := m.picks[:0]
	var oldest [11]pick
	var k *kind
	var taker *slotGroup
	ageing := q.ageing()
	for _, c := range q.classes {
		if k == nil || c.kind != k.id {
			k = m.names.kinds[c.kind]
			taker = mostFree(free, c.kind, m.limited(q, c.kind))
			if taker != nil && m.waitFor(q, m.whole(q, k)) {
				taker = nil
			}
		}
		if taker == nil {
			continue
		}
		first, served := t.heads(q, k, c, ageing)
		if first.lane == nil {
			continue
		}
		if o := &oldest[c.prio]; o.lane == nil || first.before(o) {
			*o = first
		}
		served.taker = taker
		picks = append(picks, served)
	}
	m.picks = picks
	var best *pick
	for i := range picks {
		p := &picks[i]
		p.level = level(oldest[p.lane.prio].rank, t.now, ageing, p.lane.prio)
		if best == nil || p.fairBefore(best) {
			best = p
		}
	}
	return best
}

func (p *pick) fairBefore(o *pick) bool {
	if p.level != o.level {
		return p.level < o.level
	}
	if p.tag != o.tag {
		return p.tag < o.tag
	}
	return p.before(o)
}

// level is the number of a priority, made better by the age of its oldest task.
func level(rank, now, ageing int64, prio uint8) int64 {
	l := rank - now
	if l <= 0 {
		return 0
	}
	return min((l+ageing-1)/ageing, int64(prio-1))
}

// heads returns the oldest task of a class that can be granted, and the one to serve: of the partition
// with the lowest tag. Lanes that a limit holds back are parked on the way.
func (t *tx) heads(q *queue, k *kind, c *class, ageing int64) (first, served pick) {
	if i, ok := c.plain.first(t); ok && !t.m.waitFor(q, t.m.narrow(q, k, "")) {
		first = pick{lane: c.plain, head: i, rank: c.plain.rank(i, ageing), tag: q.tag}
		served = first
	}
	if c.parts == nil {
		return first, served
	}
	if l := t.m.minOpen(q, k, c.byPlace.Min); l != nil {
		p := pick{lane: l, head: l.head, rank: l.rank(l.head, ageing), tag: l.tag}
		if first.lane == nil || p.before(&first) {
			first = p
		}
	}
	if l := t.m.minOpen(q, k, c.byTag.Min); l != nil {
		p := pick{lane: l, head: l.head, rank: l.rank(l.head, ageing), tag: l.tag}
		if served.lane == nil || p.tag < served.tag || p.tag == served.tag && p.before(&served) {
			served = p
		}
	}
	return first, served
}

// minOpen is the first lane of a tree that no limit holds back.
func (m *Machine) minOpen(q *queue, k *kind, first func() (*lane, bool)) *lane {
	for {
		l, ok := first()
		if !ok {
			return nil
		}
		f := m.narrow(q, k, l.part.name)
		if !f.yes {
			return l
		}
		m.park(l, f)
	}
}
