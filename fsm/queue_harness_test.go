package fsm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func drainQ(q string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_DrainQueue{DrainQueue: &fsmpb.DrainQueue{Namespace: "default", Queue: q}}}
}

func undrainQ(q string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_UndrainQueue{UndrainQueue: &fsmpb.UndrainQueue{Namespace: "default", Queue: q}}}
}

func purgeQ(q string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_PurgeQueue{PurgeQueue: &fsmpb.PurgeQueue{Namespace: "default", Queue: q}}}
}

func pauseQ(q string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_PauseQueue{PauseQueue: &fsmpb.PauseQueue{Namespace: "default", Queue: q}}}
}

func resumeQ(q string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_ResumeQueue{ResumeQueue: &fsmpb.ResumeQueue{Namespace: "default", Queue: q}}}
}

func setQ(c *fsmpb.SetQueue) *fsmpb.Command {
	c.Namespace = "default"
	return &fsmpb.Command{Kind: &fsmpb.Command_SetQueue{SetQueue: c}}
}

// queues changes and purges the queue, for random tests. It never leaves it paused for long: settle has to
// see every job end.
func (s *script) queues(t *rapid.T) {
	if _, ok := s.h.m.names.queueIDs[[2]string{"default", "default"}]; !ok {
		t.Skip()
	}
	s.retains = true
	keep := func(name string) *fsmpb.Retention {
		return &fsmpb.Retention{
			AgeMs: rapid.SampledFrom([]int64{0, 0, 500}).Draw(t, name+" age"),
			Count: rapid.SampledFrom([]uint64{0, 0, 1, 3}).Draw(t, name+" count"),
			Bytes: rapid.SampledFrom([]uint64{0, 0, 20}).Draw(t, name+" bytes"),
		}
	}
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		s.apply(pauseQ("default"))
		if n := len(s.apply().Grants); n > 0 {
			t.Fatalf("a paused queue granted %d leases", n)
		}
		s.apply(resumeQ("default"))
	case 1:
		s.apply(drainQ("default"))
		s.apply(undrainQ("default"))
	case 2:
		s.apply(purgeQ("default"))
	case 3:
		s.apply(setQ(&fsmpb.SetQueue{Queue: "default", Success: keep("success"), Canceled: keep("canceled")}))
	case 4:
		s.apply(setQ(&fsmpb.SetQueue{Queue: "default", Failure: keep("failure"), Budget: &fsmpb.Budget{Jobs: 1000}}))
	case 5: // off again, and on: the walk begins anew
		s.apply(setQ(&fsmpb.SetQueue{Queue: "default", Success: &fsmpb.Retention{}, Failure: &fsmpb.Retention{}}),
			setQ(&fsmpb.SetQueue{Queue: "default", Failure: &fsmpb.Retention{Count: 2}}))
	}
}

// dropRetired forgets the ended jobs that retention has purged. One that has not ended is never purged: it
// stays in the list, and check finds it lost.
func (s *script) dropRetired() {
	v := s.h.m.View()
	defer v.Close()
	s.jobs = slices.DeleteFunc(s.jobs, func(id JobID) bool {
		_, _, err := v.JobHead(id)
		_, ended := s.ended[id]
		if gone := err != nil && ended; gone {
			delete(s.ended, id)
			s.purged = append(s.purged, s.names[id])
			return true
		}
		return false
	})
}

// setBoundsOf reads the directive setqueue.
func setBoundsOf(d *datadriven.TestData, queue string) *fsmpb.Command {
	c := &fsmpb.SetQueue{Queue: queue}
	numbers := func(name string) (n [3]int64, ok bool) {
		parts := strings.Split(arg(d, name), ",")
		for i := range parts {
			n[i], _ = strconv.ParseInt(parts[i], 10, 64)
		}
		return n, arg(d, name) != ""
	}
	for name, to := range map[string]**fsmpb.Retention{"success": &c.Success, "failure": &c.Failure, "canceled": &c.Canceled} {
		if n, ok := numbers(name); ok {
			*to = &fsmpb.Retention{AgeMs: n[0], Count: uint64(n[1]), Bytes: uint64(n[2])}
		}
	}
	if n, ok := numbers("budget"); ok {
		c.Budget = &fsmpb.Budget{Jobs: uint64(n[0]), Bytes: uint64(n[1])}
	}
	return setQ(c)
}

// queueCommand reads the directives about queues; nil: it is none.
func queueCommand(d *datadriven.TestData, who string) *fsmpb.Command {
	switch d.Cmd {
	case "pausequeue":
		return pauseQ(who)
	case "resumequeue":
		return resumeQ(who)
	case "setqueue":
		return setBoundsOf(d, who)
	case "drainqueue":
		return drainQ(who)
	case "undrainqueue":
		return undrainQ(who)
	case "purgequeue":
		return purgeQ(who)
	case "budget":
		return &fsmpb.Command{Kind: &fsmpb.Command_SetBudget{SetBudget: &fsmpb.SetBudget{
			Budget: &fsmpb.Budget{Jobs: uint64(number(d, "jobs")), Bytes: uint64(number(d, "bytes"))}}}}
	}
	return nil
}
