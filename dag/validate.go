package dag

import (
	"encoding/json"
	"unicode/utf8"
)

// validate adds every problem of g but the order of its steps. Expressions have been through copyExpr.
func validate(g *Graph, p *problems) {
	if !ValidName(g.Name) {
		p.addf(nil, "the workflow's name is %.80q: %s", g.Name, nameRule)
	}
	switch {
	case len(g.Steps) == 0:
		p.addf(nil, "the workflow has no steps: add at least one task")
	case len(g.Steps) > MaxSteps:
		p.addf(nil, "the workflow has %d steps, the limit is %d: use a map for work of one kind, or split the workflow", len(g.Steps), MaxSteps)
		return
	}
	index := indexSteps(g)
	for i := range g.Steps {
		s := &g.Steps[i]
		c := checker{problems: p, place: s, index: index}
		if index[s.Name] != StepID(i) {
			c.addf("there are two steps of this name: rename one")
		}
		c.step(s)
	}
	c := checker{problems: p, place: output, index: index}
	if g.Output.Op == "" {
		c.addf("is not set: say what the job returns, for example the last step's result")
		return
	}
	c.expr(&g.Output)
	c.refs()
}

// checker checks one step, or the output.
type checker struct {
	*problems
	place *Step
	index map[string]StepID
	named map[string]bool // steps referred to
}

func (c *checker) addf(format string, args ...any) { c.problems.addf(c.place, format, args...) }

func (c *checker) step(s *Step) {
	if !ValidName(s.Name) {
		c.addf("the step's name is wrong: %s", nameRule)
	}
	if !ValidName(s.Task) {
		c.addf("the task's name is %.80q: %s", s.Task, nameRule)
	}
	if s.Merge != "" && !ValidName(s.Merge) {
		c.addf("the merge task's name is %.80q: %s", s.Merge, nameRule)
	}
	for _, types := range []string{s.Types, s.MergeTypes} {
		if len(types) > MaxName || !utf8.ValidString(types) {
			c.addf("a fingerprint of types has %d bytes or is not UTF-8: at most %d bytes of text", len(types), MaxName)
		}
	}
	switch s.Kind {
	case StepTask:
	case StepMap, StepFold:
		c.list(&s.Input, "a "+string(s.Kind))
	default:
		c.addf("the kind is %.80q: use %s, %s or %s", s.Kind, StepTask, StepMap, StepFold)
	}
	if s.Kind != StepFold && (s.Merge != "" || s.MergeTypes != "") {
		c.addf("has a merge task: only a fold has one")
	}
	if s.Input.Op == "" {
		c.addf("has no input: give it the job's input, a step's result or a constant")
	} else {
		c.expr(&s.Input)
	}
	after := map[string]bool{}
	for _, name := range s.After {
		if after[name] {
			c.addf("comes after %.80q twice: name it once", name)
		}
		after[name] = true
		c.ref(name, "comes after")
	}
	c.refs()
	c.options(s)
}

func (c *checker) ref(name, verb string) {
	if c.named == nil {
		c.named = map[string]bool{}
	}
	if _, ok := c.index[name]; !ok && !c.named[name] {
		c.addf("%s the step %.80q, which does not exist: add it, or correct the name", verb, name)
	}
	c.named[name] = true
}

func (c *checker) refs() {
	if len(c.named) > MaxRefs {
		c.addf("refers to %d steps, the limit is %d: use a map and a fold, or join in several steps", len(c.named), MaxRefs)
	}
}

// expr checks an expression whose operator is set. Each operator has exactly its own operands, so
// that there is one way to write an expression.
func (c *checker) expr(e *Expr) {
	has := [...]bool{e.Step != "", e.Value != nil, e.Fields != nil, e.Of != nil, e.N != 0}
	var want [5]bool
	switch e.Op {
	case OpInput:
	case OpStep:
		want[0] = true
		c.ref(e.Step, "reads")
	case OpConst:
		want[1] = true
		if !json.Valid(e.Value) {
			c.addf("a constant is not JSON: %.40q", []byte(e.Value))
		}
	case OpObject:
		has[2], want[2] = true, true // it may be empty
		c.fields(e)
	case OpChunk:
		want[3], want[4] = true, true
	case OpFlatten:
		want[3] = true
	default:
		c.addf("the expression's operator is %.80q, which this program does not know: use a newer release, or correct it", e.Op)
		return
	}
	if has != want {
		c.addf("the expression %s has wrong operands: %s", e, operandRule(e.Op))
	}
	if e.Of != nil {
		c.list(e.Of, string(e.Op))
		c.expr(e.Of)
	}
}

func (c *checker) fields(e *Expr) {
	seen := map[string]bool{}
	for i := range e.Fields {
		f := &e.Fields[i]
		if seen[f.Name] || !utf8.ValidString(f.Name) || len(f.Name) > MaxName {
			c.addf("the field %.80q is there twice, or its name is not UTF-8 or longer than %d bytes: rename it", f.Name, MaxName)
		}
		seen[f.Name] = true
		c.expr(&f.Of)
	}
}

func operandRule(op Op) string {
	switch op {
	case OpStep:
		return "it takes a step's name"
	case OpConst:
		return "it takes a JSON value"
	case OpObject:
		return "it takes fields"
	case OpChunk:
		return "it takes a list and a size of at least 1"
	case OpFlatten:
		return "it takes a list of lists"
	}
	return "it takes none"
}

// list reports what can be seen not to be a list without running anything.
func (c *checker) list(e *Expr, who string) {
	switch {
	case e.Op == OpObject:
		c.addf("%s needs a list, and %s is an object: use a constant list, or a task that makes one", who, e)
	case e.Op == OpConst && json.Valid(e.Value) && e.Value[0] != '[' && e.Value[0] != 'n':
		c.addf("%s needs a list, and %s is none: write a JSON array", who, e)
	}
}

func (c *checker) options(s *Step) {
	o := &s.Options
	if o.Queue != "" && !ValidName(o.Queue) {
		c.addf("the queue's name is %.80q: %s", o.Queue, nameRule)
	}
	c.within("priority", int64(o.Priority), 0, MaxPriority)
	c.within("timeout_ms", o.TimeoutMS, 0, MaxDurationMS)
	c.timeLimits(s)
	c.within("max_parallel", int64(o.MaxParallel), 0, MaxParallel)
	if o.MaxParallel != 0 && s.Kind == StepTask {
		c.addf("max_parallel is for a map or fold: leave it out")
	}
	if (o.Tolerate != 0 || o.Settled) && s.Kind != StepMap {
		c.addf("tolerate and settled are for a map: leave them out")
	}
	if o.FanIn != 0 {
		c.within("fan_in", int64(o.FanIn), 2, MaxFanIn)
		if s.Kind != StepFold {
			c.addf("fan_in is for a fold: leave it out")
		}
	}
	if !ValidPointer(o.PartitionBy) {
		c.addf("partition_by is %.80q, which is no JSON pointer: write a slash before each name, for instance /customer/id", o.PartitionBy)
	}
	if o.PartitionBy != "" && s.Kind != StepTask {
		c.addf("partition_by is for a plain task: give the job a partition, or put the item's work into a workflow of its own")
	}
	r := &o.Retry
	c.within("max_attempts", int64(r.MaxAttempts), 0, MaxAttempts)
	c.within("crash_limit", int64(r.CrashLimit), 0, MaxAttempts)
	c.within("first_ms", r.FirstMS, 0, MaxDurationMS)
	c.within("cap_ms", r.CapMS, 0, MaxDurationMS)
	c.within("jitter_percent", int64(r.JitterPercent), -1, 100)
	c.within("deadline_ms", r.DeadlineMS, 0, MaxDurationMS)
	c.errorTypes("permanent_on", r.PermanentOn)
	c.errorTypes("discard_on", r.DiscardOn)
	if r.FactorMilli != 0 {
		c.within("factor_milli", int64(r.FactorMilli), 1_000, MaxFactorMilli)
	}
}

func (c *checker) timeLimits(s *Step) {
	o := &s.Options
	c.within("hard_timeout_ms", o.HardTimeoutMS, 0, MaxDurationMS)
	c.within("heartbeat_ms", o.HeartbeatMS, 0, MaxDurationMS)
	c.within("queue_wait_ms", o.QueueWaitMS, 0, MaxDurationMS)
	if o.HardTimeoutMS != 0 && o.HardTimeoutMS < o.TimeoutMS {
		c.addf("hard_timeout_ms is %d and timeout_ms %d: the hard limit comes after the soft one", o.HardTimeoutMS, o.TimeoutMS)
	}
	if o.QueueWaitMS != 0 && s.Kind != StepTask {
		c.addf("queue_wait_ms is for a plain step, whose one task waits: leave it out, or give the whole job a time to start by")
	}
}

func (c *checker) errorTypes(field string, types []string) {
	if len(types) > MaxErrorTypes {
		c.addf("%s has %d types, the limit is %d", field, len(types), MaxErrorTypes)
	}
	for _, t := range types {
		if t == "" || len(t) > MaxName || !utf8.ValidString(t) {
			c.addf("%s has the type %.80q: give the name of an error's type, 1 to %d bytes", field, t, MaxName)
		}
	}
}

func (c *checker) within(field string, n, low, high int64) {
	if n < low || n > high {
		c.addf("%s is %d: give it a value from %d to %d", field, n, low, high)
	}
}
