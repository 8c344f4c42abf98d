package fsm

import (
	"fmt"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func (s *schedule) encode() []byte {
	e := newEnc(160 + len(s.cron) + len(s.zoneData) + len(s.graph) + len(s.input) + len(s.options))
	e.raw(s.id[:])
	e.int(s.createdMS)
	e.int(s.updatedMS)
	e.str(s.cron)
	e.int(s.everyMS)
	e.str(s.zone)
	e.bytes(s.zoneData)
	e.bytes(s.graph)
	e.str(s.workflow)
	e.bytes(s.input)
	e.int(s.retainMS)
	e.bytes(s.options)
	e.byte(byte(s.missed))
	e.uint(uint64(s.missedMax))
	e.byte(byte(s.overlap))
	e.int(s.startMS)
	e.int(s.endMS)
	e.int(s.jitterMS)
	e.int(s.lateMS)
	return e
}

func decodeSchedule(namespace, name string, b []byte) *schedule {
	d := newDec("schedule", b)
	s := &schedule{namespace: namespace, name: name}
	copy(s.id[:], d.raw(16))
	s.createdMS, s.updatedMS = d.int(), d.int()
	s.cron, s.everyMS = d.str(), d.int()
	s.zone, s.zoneData = d.str(), d.bytes()
	s.graph, s.workflow, s.input = d.bytes(), d.str(), d.bytes()
	s.retainMS, s.options = d.int(), d.bytes()
	s.missed, s.missedMax, s.overlap = fsmpb.Missed(d.byte()), d.u32(), fsmpb.Overlap(d.byte())
	s.startMS, s.endMS, s.jitterMS, s.lateMS = d.int(), d.int(), d.int(), d.int()
	d.end()
	if err := s.derive(); err != nil {
		panic(fault{fmt.Errorf("fsm: schedule %s/%s: %w", namespace, name, err)})
	}
	return s
}

func (a *agenda) encode() []byte {
	e := newEnc(128 + len(a.recent)*32)
	e.str(a.namespace)
	e.str(a.name)
	e.bool(a.paused)
	e.str(a.note)
	e.int(a.decided)
	e.int(a.last)
	e.int(a.next)
	e.int(a.due)
	e.int(a.until)
	e.int(a.waiting)
	e.int(a.release)
	e.uint(a.running)
	e.uint(a.fired)
	e.uint(a.skipped)
	e.uint(a.missed)
	e.uint(a.refused)
	e.uint(uint64(len(a.recent)))
	for _, k := range a.recent {
		e.int(k.tick)
		e.int(k.at)
		e.byte(byte(k.outcome))
		e.raw(k.job[:])
		e.str(k.reason)
	}
	return e
}

func decodeAgenda(id scheduleID, b []byte) *agenda {
	d := newDec("agenda", b)
	a := &agenda{id: id, namespace: d.str(), name: d.str(), paused: d.bool(), note: d.str()}
	a.decided, a.last, a.next, a.due, a.until, a.waiting, a.release = d.int(), d.int(), d.int(), d.int(), d.int(), d.int(), d.int()
	a.running, a.fired, a.skipped, a.missed, a.refused = d.uint(), d.uint(), d.uint(), d.uint(), d.uint()
	n := d.uint()
	if n > recentTicks {
		d.bad = true
		n = 0
	}
	for range n {
		k := tick{tick: d.int(), at: d.int(), outcome: Outcome(d.byte())}
		copy(k.job[:], d.raw(16))
		k.reason = d.str()
		a.recent = append(a.recent, k)
	}
	d.end()
	return a
}

// schedule finds a schedule by its name, nil when there is none.
func (t *tx) schedule(namespace, name string) *schedule {
	key := [2]string{namespace, name}
	if s := t.m.schedules[key]; s != nil {
		return s
	}
	b := t.get(keySchedule(namespace, name))
	if b == nil {
		return nil
	}
	s := decodeSchedule(namespace, name, append([]byte(nil), b...))
	if len(t.m.schedules) >= scheduleCacheMax {
		clear(t.m.schedules)
	}
	t.m.schedules[key] = s
	return s
}

// scheduleCacheMax bounds the schedules that are kept decoded; at the bound the cache is emptied.
const scheduleCacheMax = 4096

// agenda loads how far a schedule is, for reading and writing; nil when it was deleted.
func (t *tx) agenda(id scheduleID) *agenda {
	if a := t.agendas[id]; a != nil {
		if a.gone {
			return nil
		}
		return a
	}
	b := t.get(keyAgenda(id))
	if b == nil {
		return nil
	}
	return t.hold(decodeAgenda(id, b))
}

// hold keeps an agenda for the rest of this call of Apply, whose end writes it.
func (t *tx) hold(a *agenda) *agenda {
	if t.agendas == nil {
		t.agendas = make(map[scheduleID]*agenda)
	}
	t.agendas[a.id] = a
	t.heldAgendas = append(t.heldAgendas, a)
	return a
}

func (t *tx) flushAgendas() {
	for _, a := range t.heldAgendas {
		switch {
		case a.gone:
			t.del(keyAgenda(a.id))
		case a.dirty:
			t.set(keyAgenda(a.id), a.encode())
		}
	}
}
