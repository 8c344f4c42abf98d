package fsm

import (
	"fmt"
	"strings"
)

// schedules recomputes the timers and counts of schedules.
func (c *checker) schedules() {
	m := c.m
	running := make(map[scheduleID]uint64)
	for k := range c.running {
		id, _ := parseRunning([]byte(k))
		running[id]++
	}
	defined := uint64(0)
	m.disk.scan([]byte{tagSchedule}, []byte{tagSchedule + 1}, func(k, b []byte) bool {
		defined++
		ns, name := parseSchedule(k)
		s := decodeSchedule(ns, name, append([]byte(nil), b...))
		raw := m.disk.get(keyAgenda(s.id))
		if raw == nil {
			c.bad("schedule %s/%s has no agenda", ns, name)
			return true
		}
		c.agenda(s, decodeAgenda(s.id, raw), running[s.id])
		return true
	})
	if n := m.state.SchedulesCreated - m.state.SchedulesDeleted; n != defined {
		c.bad("%d schedules are stored, and %d were made and not deleted", defined, n)
	}
	m.disk.scan([]byte{tagAgenda}, []byte{tagAgenda + 1}, func(_, _ []byte) bool {
		defined--
		return true
	})
	if defined != 0 {
		c.bad("an agenda has no schedule")
	}
	c.index("running job of a schedule", tagRunning, c.running)
}

func (c *checker) agenda(s *schedule, a *agenda, running uint64) {
	if a.running != running {
		c.bad("schedule %s has %d running jobs and says %d", s.name, running, a.running)
	}
	if a.due != 0 {
		c.timers[string(keyTimer(a.due, dutyTick, s.id.ref()))] = true
	}
	if a.release != 0 {
		c.timers[string(keyTimer(a.release, dutyRelease, s.id.ref()))] = true
	}
	switch {
	case (a.due != 0) != (a.next != 0), a.paused && a.next != 0:
		c.bad("schedule %s has tick %d and timer %d, paused %v", s.name, a.next, a.due, a.paused)
	case a.next != 0 && (a.next <= a.last || s.before(a.next+1) != a.next):
		c.bad("schedule %s: %d after %d is none of its ticks (law 8)", s.name, a.next, a.last)
	case a.next != 0 && s.after(a.last) != a.next:
		c.bad("schedule %s: %d comes after %d, and not %d (law 8)", s.name, s.after(a.last), a.last, a.next)
	case a.waiting != 0 && a.running == 0 && a.release == 0:
		c.bad("schedule %s: tick %d waits for nothing", s.name, a.waiting)
	}
}

func (v *View) dumpSchedules(b *strings.Builder) {
	v.disk.scan([]byte{tagSchedule}, []byte{tagSchedule + 1}, func(k, raw []byte) bool {
		ns, name := parseSchedule(k)
		s := v.schedule(ns, name)
		fmt.Fprintf(b, "schedule %s next %d waiting %d running %d fired %d skipped %d missed %d refused %d\n",
			name, s.NextTickMS, s.WaitingTickMS, s.Running, s.Fired, s.Skipped, s.Missed, s.Refused)
		return true
	})
}
