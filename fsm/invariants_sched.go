package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// waits notes a runnable key that the records imply.
func (c *checker) waits(j *job, sp *stepPlan, kind uint32, ref TaskRef, seq, part uint64) {
	c.runnable[string(keyRunnable(sp.queue, kind, part, j.priority(sp), seq, ref.Shard))] = true
	c.waiting[part]++
	if p := c.m.parts[part]; part != 0 && (p == nil || p.queue != sp.queue) {
		c.bad("task %s waits in partition %d of queue %d, which is not there", ref, part, sp.queue)
	}
}

// lanes checks that partitions count their tasks, and that a lane with a task is in its class's trees, or
// parked because a limit holds it back.
func (c *checker) lanes() {
	m := c.m
	for id, p := range m.parts {
		if p.waiting != c.waiting[id] || p.leased != c.leased[id] || p.waiting+p.leased == 0 {
			c.bad("partition %q has %d waiting and %d leased tasks and says %d and %d", p.name, c.waiting[id], c.leased[id], p.waiting, p.leased)
		}
		b := m.disk.get(keyPartition(id))
		if b == nil {
			c.bad("partition %q is in memory and not stored", p.name)
		} else if s := decodePartition(id, b); s.tag != p.tag || s.waiting != p.waiting || s.leased != p.leased {
			c.bad("partition %q is stored otherwise", p.name)
		}
		if p.waiting > 0 && len(p.lanes) == 0 {
			c.bad("partition %q waits in no lane", p.name)
		}
		for _, l := range p.lanes {
			q, k := m.names.queues[l.queue], m.names.kinds[l.kind]
			switch {
			case l.ready == (l.parked != nil):
				c.bad("a lane of partition %q: ready %v, parked %v", p.name, l.ready, l.parked != nil)
			case l.ready && (l.tag != p.tag || !l.byTag.Has(l) || !l.byPlace.Has(l)):
				c.bad("a lane of partition %q is not in its trees", p.name)
			case l.parked != nil && !m.narrow(q, k, p.name).yes:
				c.bad("a lane of partition %q is parked and no limit holds it back", p.name)
			}
		}
	}
	stored := 0
	m.disk.scan([]byte{tagPartition}, []byte{tagPartition + 1}, func(k, _ []byte) bool { stored++; return true })
	if stored != len(m.parts) {
		c.bad("%d partitions are stored and %d in memory", stored, len(m.parts))
	}
}

// limits checks what limits have counted against the leases and the store.
func (c *checker) limits() {
	m := c.m
	for _, l := range m.limits {
		held := make(map[string]uint64)
		for _, s := range m.sessions {
			for _, x := range s.leases {
				q, k := m.names.queues[x.queue], m.names.kinds[x.kind]
				on := q.name
				if l.scope == fsmpb.LimitScope_LIMIT_SCOPE_TASK {
					on = k.name
				}
				if q.namespace == l.namespace && on == l.name {
					name := ""
					if l.per {
						name = m.partName(x.part)
					}
					held[name]++
				}
			}
		}
		for name, s := range l.states {
			if l.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
				if s.held != held[name] || s.held == 0 {
					c.bad("limit %d has %d leases in %q and says %d", l.id, held[name], name, s.held)
				}
				delete(held, name)
				continue
			}
			if !m.expiries.Has(expiry{at: s.expires, limit: l.id, name: name}) {
				c.bad("what limit %d counts of %q has no end", l.id, name)
			}
		}
		if l.kind == fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY && len(held) > 0 {
			c.bad("limit %d does not count %v", l.id, held)
		}
	}
}
