package fsm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

var scriptName = regexp.MustCompile(`[@$]\w+`)

// any reads a command of any kind as protobuf text: @NAME is the id that NAME stands for, $NAME a graph.
func (r *runner) any(t *testing.T, d *datadriven.TestData) *fsmpb.Command {
	text := scriptName.ReplaceAllStringFunc(d.Input, func(s string) string {
		name, raw := s[1:], []byte(nil)
		if s[0] == '$' {
			raw = dag.Encode(r.graphs[name])
		} else {
			id := jobID(name)
			raw = id[:]
			r.names[id.String()] = name
		}
		var b strings.Builder
		for _, c := range raw {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
		return `"` + b.String() + `"`
	})
	c := new(fsmpb.Command)
	if err := prototext.Unmarshal([]byte(text), c); err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	if id, ok := jobIDOf(c.GetCreateBatch().GetBatch()); ok {
		r.batches = append(r.batches, id)
	}
	return c
}

// jobOptions reads the arguments of submit that say how the job is asked for.
func jobOptions(t *testing.T, d *datadriven.TestData) []byte {
	o := &fsmpb.JobOptions{Partition: arg(d, "partition"), Priority: uint32(number(d, "priority")), StartWithinMs: number(d, "within"), TimeoutMs: number(d, "timeout")}
	if key := arg(d, "unique"); key != "" {
		o.Unique = &fsmpb.Unique{
			Key: key, PeriodMs: number(d, "period"), MaxMs: number(d, "max"),
			Mode:       fsmpb.Unique_Mode(fsmpb.Unique_Mode_value[arg(d, "mode")]),
			Scope:      fsmpb.Unique_Scope(fsmpb.Unique_Scope_value[arg(d, "scope")]),
			OnConflict: fsmpb.Unique_Conflict(fsmpb.Unique_Conflict_value[arg(d, "conflict")]),
		}
	}
	if b := arg(d, "batch"); b != "" {
		id := jobID(b)
		o.Batch = id[:]
	}
	raw, err := proto.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sharedSlots makes the slots of a session shared: open ... shared=N [strict] queues=NAME:WEIGHT,...
func sharedSlots(d *datadriven.TestData, c *fsmpb.Command) *fsmpb.Command {
	if n := number(d, "shared"); n > 0 {
		o := c.GetOpenSession()
		o.Slots, o.Strict, o.Queues = uint32(n), arg(d, "strict") != "", nil
		for _, q := range strings.Split(arg(d, "queues"), ",") {
			name, weight, _ := strings.Cut(q, "/")
			w, _ := strconv.Atoi(weight)
			o.Queues = append(o.Queues, &fsmpb.QueueSlots{Queue: name, Slots: uint32(w)})
		}
	}
	return c
}

// nameCallbacks names the jobs that batches have made.
func (r *runner) nameCallbacks() {
	v := r.h.m.View()
	defer v.Close()
	for _, id := range r.batches {
		b, err := v.Batch(id)
		if err != nil {
			continue
		}
		for how, job := range map[string]JobID{"success": b.SuccessJob, "complete": b.CompleteJob, "death": b.DeathJob} {
			if job != (JobID{}) {
				r.names[job.String()] = b.Name + "." + how
			}
		}
	}
}

// lookAt prints what limits count, a batch, the dead jobs or a redrive.
func (r *runner) lookAt(t *testing.T, d *datadriven.TestData) string {
	v := r.h.m.View()
	defer v.Close()
	var b strings.Builder
	switch d.Cmd {
	case "limits":
		all, err := v.Limits("default")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range all {
			p := l.Limit
			fmt.Fprintf(&b, "%s %s %s per partition %v: n %d in %d burst %d, held %d partitions %d full %v", p.Kind, p.Scope, p.Name, p.PerPartition, p.N, p.PeriodMs, p.Burst, l.Held, l.Partitions, l.Full)
			if l.FreeMS > 0 {
				fmt.Fprintf(&b, " free in %d", l.FreeMS-r.h.now)
			}
			b.WriteByte('\n')
		}
	case "batch":
		x, err := v.Batch(jobID(d.CmdArgs[0].Key))
		if err != nil {
			return err.Error() + "\n"
		}
		fmt.Fprintf(&b, "%s total %d live %d succeeded %d failed %d canceled %d reason %q\n", x.State, x.Total, x.Live, x.Succeeded, x.Failed, x.Canceled, x.CancelReason)
	case "dead":
		all, _, err := v.Dead("default", &fsmpb.DeadFilter{}, DeadToken{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range all {
			fmt.Fprintf(&b, "%s of %s/%s: %s %s\n", x.ID, x.Workflow, x.Step, x.ErrorType, x.Message)
		}
	case "redrives":
		all, err := v.Redrives("default")
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range all {
			fmt.Fprintf(&b, "%s %s done %d refused %d %s\n", x.ID, x.State, x.Done, x.Refused, x.Refusal)
		}
	}
	if b.Len() == 0 {
		return "none\n"
	}
	return r.pretty(b.String())
}
