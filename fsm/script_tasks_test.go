package fsm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// saveOrLog makes the commands of a running task that do not end it.
func saveOrLog(d *datadriven.TestData, g Grant) *fsmpb.Command {
	size := int(number(d, "size"))
	if d.Cmd == "log" {
		var lines []string
		for i := range max(1, int(number(d, "n"))) {
			lines = append(lines, fmt.Sprint(strings.TrimSpace(d.Input), i, strings.Repeat("x", size)))
		}
		return logLines(g, lines...)
	}
	doc := strings.TrimSpace(d.Input)
	if size > 0 {
		doc = `"` + strings.Repeat("x", size-2) + `"`
	}
	return save(g, uint32(number(d, "slot")), arg(d, "name"), uint64(number(d, "seq")), doc)
}

// look reads what tasks have saved or logged.
func (r *runner) look(t *testing.T, d *datadriven.TestData) string {
	v := r.h.m.View()
	defer v.Close()
	id := jobID(d.CmdArgs[0].Key)
	var b strings.Builder
	if d.Cmd == "logs" {
		p, err := v.Logs(id, LogFilter{Step: arg(d, "step"), MinLevel: int32(number(d, "level"))}, uint64(number(d, "after")), max(1, int(number(d, "limit"))))
		if err != nil {
			return err.Error() + "\n"
		}
		for _, l := range p.Lines {
			fmt.Fprintf(&b, "%s/%d attempt %d at %d level %d: %s\n", l.Step, l.Shard, l.Attempt, l.TimeMS, l.Level, short(l.Text))
		}
		fmt.Fprintf(&b, "next %d more %v ended %v dropped %d\n", p.Next, p.More, p.Ended, p.Dropped)
		return b.String()
	}
	step, err := v.Step(id, d.CmdArgs[1].Key)
	if err != nil {
		return err.Error() + "\n"
	}
	shard, _ := strconv.ParseUint(d.CmdArgs[2].Key, 10, 64)
	all, err := v.Saved(TaskRef{Job: id, Step: step, Shard: shard})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		fmt.Fprintf(&b, "slot %d %q: %s\n", s.Slot, s.Name, short(string(s.Data)))
	}
	if len(all) == 0 {
		return "nothing\n"
	}
	return b.String()
}
