package fsm

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// TestScripts runs testdata/scripts, one file a command: each directive is one entry of the log (or a
// look at the state), and below it is what it answered and what became of it. Regenerate with
// `go test ./fsm -run Scripts -rewrite`; read the diff, and commit only what you can explain.
//
//	graph NAME            the JSON of a graph, or its two-line text form
//	submit JOB graph= input= [key=] [delay=]     open NAME slots= tasks=a,b     close SESSION [lost]
//	complete JOB/STEP/SHARD [late] | fail ... [permanent] [after=] [snooze] | release ...
//	submit ... [partition= priority=] [unique= mode= scope= conflict= period= max=] [batch=] [within=] [timeout=]
//	open ... shared=N [strict] queues=NAME/WEIGHT,... | fail ... [limited=MS] [discard] [timeout] | silent JOB/STEP/SHARD
//	do KIND               a command of any kind, in protobuf's text form: @NAME is an id, $NAME a graph
//	limits | batch NAME | dead | redrives
//	cancel JOB | retry JOB | purge JOB | drain SESSION | chunk BLOB index= size= | advance MS
//	save JOB/STEP/SHARD [slot= name=] [seq=] [size=] [late] | log JOB/STEP/SHARD [n= size=] [late]
//	saved JOB STEP SHARD | logs JOB [step=] [after=] [limit=]
//	source NAME graph= scheme= [secrets=] | endpoint NAME url= [events=] [workflows=] [secrets=] [rotate]
//	receive SOURCE id= job= | deliver ENDPOINT/N status= [attempt=] [after=] | replay ENDPOINT[/N] | hook NAME [endpoint] change=
//	pausequeue Q | resumequeue Q | setqueue Q success= failure= canceled=AGE,COUNT,BYTES budget=JOBS,BYTES
//	drainqueue Q | undrainqueue Q | purgequeue Q | budget jobs= bytes=
//	schedule NAME graph= [cron=] [every=] [zone=] [missed=] [max=] [overlap=] [start=] [end=] [jitter=] [late=] [paused]
//	unschedule NAME | pause NAME | resume NAME | trigger NAME job= | backfill NAME from= to=  (times: from now)
//	dump | ticks NAME | result JOB | reopen | hash
//
// Every kind of command has to be in some script.
func TestScripts(t *testing.T) {
	seen := make(map[protoreflect.Name]bool)
	ran := 0
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		ran++
		r := &runner{h: newHarness(t), graphs: make(map[string]*dag.Graph), grants: make(map[string][]Grant), names: make(map[string]string), seen: seen}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return r.step(t, d) })
		r.h.replay(3)
	})
	files, err := os.ReadDir("testdata/scripts")
	if err != nil || ran < len(files) {
		return // -run has chosen some
	}
	for kinds, i := commandKind.Fields(), 0; i < kinds.Len(); i++ {
		if name := kinds.Get(i).Name(); !seen[name] {
			t.Errorf("no script has the command %s: add testdata/scripts/%s.txt", name, name)
		}
	}
}

var commandKind = (&fsmpb.Command{}).ProtoReflect().Descriptor().Oneofs().Get(0)

type runner struct {
	h      *harness
	graphs map[string]*dag.Graph
	grants map[string][]Grant // by task, oldest first
	names  map[string]string  // of jobs, by id

	batches []BatchID
	seen    map[protoreflect.Name]bool // kinds of commands
}

func (r *runner) step(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "graph":
		g, err := dag.Decode([]byte(strings.TrimSpace(d.Input)))
		if err != nil {
			t.Fatal(err)
		}
		r.graphs[d.CmdArgs[0].Key] = g
		return "ok\n"
	case "dump":
		return r.pretty(r.h.m.Dump())
	case "result":
		return r.h.result(jobID(d.CmdArgs[0].Key)) + "\n"
	case "saved", "logs":
		return r.look(t, d)
	case "limits", "batch", "dead", "redrives":
		return r.lookAt(t, d)
	case "ticks":
		return r.ticks(d.CmdArgs[0].Key)
	case "reopen":
		r.h.reopen()
		return "ok\n"
	case "advance":
		ms, _ := strconv.ParseInt(d.CmdArgs[0].Key, 10, 64)
		r.h.now += ms
		return r.show(r.h.apply())
	}
	c := r.command(t, d)
	r.seen[c.ProtoReflect().WhichOneof(commandKind).Name()] = true
	return r.show(r.h.apply(c))
}

func arg(d *datadriven.TestData, name string) string {
	for _, a := range d.CmdArgs {
		if a.Key == name {
			if len(a.Vals) == 0 {
				return "yes"
			}
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func number(d *datadriven.TestData, name string) int64 {
	n, _ := strconv.ParseInt(arg(d, name), 10, 64)
	return n
}

func (r *runner) command(t *testing.T, d *datadriven.TestData) *fsmpb.Command {
	who := d.CmdArgs[0].Key
	id := jobID(who)
	for known, name := range r.names {
		if name == who {
			id, _ = ParseJobID(known)
		}
	}
	switch d.Cmd {
	case "submit":
		r.names[id.String()] = who
		c := submit(who, r.graphs[arg(d, "graph")], strings.TrimSpace(d.Input))
		s := c.GetSubmitJob()
		s.Key = arg(d, "key")
		s.Options = jobOptions(t, d)
		if n := number(d, "delay"); n > 0 {
			s.NotBeforeMs = r.h.now + n
		}
		if b := arg(d, "blob"); b != "" {
			_, s.Input = upload(b, bytes.Repeat([]byte("1"), int(number(d, "size"))))
		}
		if g := arg(d, "raw"); g != "" {
			s.Graph = []byte(d.Input)
			s.Input = inline("1")
		}
		return c
	case "open":
		return sharedSlots(d, openWorker(who, uint32(number(d, "slots")), strings.Split(arg(d, "tasks"), ",")...))
	case "do":
		return r.any(t, d)
	case "close":
		n, _ := strconv.ParseUint(who, 10, 64)
		return closeWorker(n, arg(d, "lost") != "")
	case "drain":
		n, _ := strconv.ParseUint(who, 10, 64)
		return &fsmpb.Command{Kind: &fsmpb.Command_DrainSession{DrainSession: &fsmpb.DrainSession{Session: n}}}
	case "prefetch":
		n, _ := strconv.ParseUint(who, 10, 64)
		return prefetch(n, cmp.Or(arg(d, "queue"), "default"), int(number(d, "tasks")))
	case "cancel":
		return cancel(id)
	case "retry":
		return retry(id)
	case "purge":
		return purge(id)
	case "hash":
		return hashNow()
	case "init":
		sum := jobID(who)
		return &fsmpb.Command{Kind: &fsmpb.Command_InitCluster{InitCluster: &fsmpb.InitCluster{Id: sum[:]}}}
	case "chunk":
		c := chunk([16]byte(jobID(who)), uint32(number(d, "index")), bytes.Repeat([]byte("1"), int(number(d, "size"))))
		return c
	case "source", "endpoint", "receive", "deliver", "replay", "hook":
		return r.hook(t, d, who)
	case "schedule", "unschedule", "pause", "resume", "trigger", "backfill":
		return r.schedule(t, d, who)
	case "complete", "fail", "release", "save", "log", "silent":
		return r.report(t, d, who)
	}
	if c := queueCommand(d, who); c != nil {
		return c
	}
	t.Fatalf("%s: unknown directive %s", d.Pos, d.Cmd)
	return nil
}

func (r *runner) report(t *testing.T, d *datadriven.TestData, task string) *fsmpb.Command {
	all := r.grants[task]
	if len(all) == 0 {
		t.Fatalf("%s: task %s was never leased", d.Pos, task)
	}
	g := all[len(all)-1]
	if arg(d, "late") != "" {
		g = all[0]
	}
	switch d.Cmd {
	case "complete":
		return complete(g, strings.TrimSpace(d.Input))
	case "release":
		return release(g)
	case "save", "log":
		return saveOrLog(d, g)
	case "silent":
		return &fsmpb.Command{Kind: &fsmpb.Command_TimeOutTask{TimeOutTask: &fsmpb.TimeOutTask{Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto()}}}
	}
	c := failure(g, strings.TrimSpace(d.Input), arg(d, "permanent") != "")
	c.GetFailTask().RetryAfterMs = number(d, "after")
	c.GetFailTask().Snooze = arg(d, "snooze") != ""
	c.GetFailTask().RateLimitedMs = number(d, "limited")
	c.GetFailTask().Discard, c.GetFailTask().Timeout = arg(d, "discard") != "", arg(d, "timeout") != ""
	return c
}

// show prints a result.
func (r *runner) show(res *Result) string {
	var b strings.Builder
	r.nameTicks(res)
	r.nameCallbacks()
	for _, a := range res.Answers {
		switch {
		case a.Refusal != nil:
			fmt.Fprintf(&b, "%s: %s\n", a.Refusal.Code, a.Refusal.Message)
		case a.Session != 0:
			fmt.Fprintf(&b, "session %d\n", a.Session)
		default:
			b.WriteString("ok")
			if a.State != 0 {
				fmt.Fprintf(&b, " %s", a.State)
			}
			if a.Existing {
				b.WriteString(" existing")
			}
			if a.Made+a.Present > 0 {
				fmt.Fprintf(&b, " created %d, present %d", a.Made, a.Present)
			}
			if a.NextMS > 0 {
				fmt.Fprintf(&b, ", go on at %d", a.NextMS-r.h.now)
			}
			if a.Duplicate {
				b.WriteString(" duplicate")
			}
			b.WriteByte('\n')
		}
	}
	for _, g := range res.Grants {
		name := fmt.Sprintf("%s/%s/%d", r.names[g.Task.Job.String()], g.Step, g.Task.Shard)
		r.grants[name] = append(r.grants[name], g)
		fmt.Fprintf(&b, "grant %s to %d fence %s attempt %d crashes %d input %s\n", name, g.Session, g.Fence, g.Attempt, g.Crashes, short(r.h.input(g)))
	}
	for _, v := range res.Revokes {
		fmt.Fprintf(&b, "revoke %s of %d: %s\n", v.Fence, v.Session, v.Cause)
	}
	for _, f := range res.Finished {
		fmt.Fprintf(&b, "finished %s %s\n", f.Job, f.State)
	}
	if res.NextDueMS > 0 {
		fmt.Fprintf(&b, "due in %d\n", res.NextDueMS-r.h.now)
	}
	return r.pretty(b.String())
}

func short(doc string) string {
	if len(doc) > 60 {
		return fmt.Sprintf("%s... (%d bytes)", doc[:40], len(doc))
	}
	return doc
}

// pretty prints the names of jobs instead of their ids.
func (r *runner) pretty(s string) string {
	for id, name := range r.names {
		s = strings.ReplaceAll(s, id, name)
	}
	return s
}
