package fsm

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/fanfold/fanfold/dag"
)

// Dump is the one text form of the state: tests compare it, `fanfold debug` prints it, bug reports
// carry it. It reads everything.
func (m *Machine) Dump() string {
	var b strings.Builder
	v := m.View()
	defer v.Close()
	fmt.Fprintf(&b, "index %d time %d\n", v.state.index, v.state.nowMS)
	v.disk.scan([]byte{tagJob}, []byte{tagJob + 1}, func(k, _ []byte) bool {
		v.dumpJob(&b, readJob(v.disk, parseJobKey(k)))
		return true
	})
	queues := v.queues()
	v.disk.scan([]byte{tagRunnable}, []byte{tagRunnable + 1}, func(k, val []byte) bool {
		p := parseRunnable(k)
		ref, _ := parseRef(val)
		fmt.Fprintf(&b, "runnable %s prio %d since %d %s", queues[p.queue].name, p.prio, sinceMS(p.seq), refText(ref))
		if p.part != 0 {
			fmt.Fprintf(&b, " of %s", decodePartition(p.part, v.disk.get(keyPartition(p.part))).name)
		}
		b.WriteByte('\n')
		return true
	})
	v.disk.scan([]byte{tagTimer}, []byte{tagTimer + 1}, func(k, _ []byte) bool {
		due, d, ref := parseTimer(k)
		fmt.Fprintf(&b, "timer %d duty %d %s\n", due, d, refText(ref))
		return true
	})
	v.disk.scan([]byte{tagSession}, []byte{tagSession + 1}, func(k, val []byte) bool {
		s := decodeSession(be.Uint64(k[1:]), bytes.Clone(val))
		fmt.Fprintf(&b, "session %d %s draining %v\n", s.id, s.worker, s.draining)
		v.eachLease(s.id, func(f Fence, l *lease) {
			fmt.Fprintf(&b, "  lease %s %s revoked %v\n", f, refText(l.ref), l.revoked)
		})
		return true
	})
	v.disk.scan([]byte{tagQueue}, []byte{tagQueue + 1}, func(k, val []byte) bool {
		q := decodeQueue(be.Uint32(k[1:]), val)
		fmt.Fprintf(&b, "queue %s pending %d started %d\n", q.name, q.pending, q.started)
		return true
	})
	v.dumpHooks(&b)
	v.dumpControls(&b, queues)
	v.dumpSchedules(&b)
	b.WriteString("counters")
	for all, i := reflect.ValueOf(v.state.Counters), 0; i < all.NumField(); i++ {
		if n := all.Field(i).Uint(); n > 0 {
			fmt.Fprintf(&b, " %s:%d", all.Type().Field(i).Name, n)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func refText(r TaskRef) string {
	if r.Shard == groupShard {
		return fmt.Sprintf("%s/%d/group", r.Job, r.Step)
	}
	return r.String()
}

func (v *View) dumpJob(b *strings.Builder, j *job) {
	g := v.m.graphs.get(v.disk, j.graph)
	fmt.Fprintf(b, "job %s %s %s left %d\n", j.id, g.Name, j.state, j.left)
	if j.logged {
		l := decodeJobLog(v.disk.mustGet(keyJobLog(j.id)))
		fmt.Fprintf(b, "  log from %d to %d: %d bytes, %d lines dropped\n", l.first, l.next, l.bytes, l.dropped)
	}
	for i := range j.steps {
		s := &j.steps[i]
		fmt.Fprintf(b, "  step %s %s waiting %d", g.Step(dag.StepID(i)).Name, s.state, s.waiting)
		dumpTask(b, &s.task)
		if raw := v.disk.get(keyGroup(j.id, uint32(i))); raw != nil {
			gr := decodeGroup(raw)
			fmt.Fprintf(b, "    group next %d of %d total %d ok %d dead %d live %d queued %v\n", gr.next, gr.limit, gr.total, gr.ok, gr.dead, gr.live, gr.queued)
		}
		prefix := be.AppendUint32(keyData(j.id, partTask), uint32(i))
		v.disk.scan(prefix, prefixEnd(prefix), func(k, val []byte) bool {
			tk := decodeTask(bytes.Clone(val))
			fmt.Fprintf(b, "    task %d %s", parseTaskPart(k).Shard, tk.state)
			dumpTask(b, tk)
			return true
		})
	}
}

func dumpTask(b *strings.Builder, t *task) {
	if t.attempts > 0 || t.crashes > 0 {
		fmt.Fprintf(b, " attempts %d crashes %d", t.attempts, t.crashes)
	}
	if t.state == TaskStarted {
		fmt.Fprintf(b, " session %d fence %s", t.session, t.fence)
	}
	if t.saves > 0 {
		fmt.Fprintf(b, " saved %d slots %d bytes", t.saves, t.savedBytes)
	}
	if t.due != 0 {
		fmt.Fprintf(b, " due %d", t.due)
	}
	b.WriteByte('\n')
}
