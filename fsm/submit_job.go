package fsm

import (
	"bytes"
	"crypto/sha256"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// submitJob creates a job and makes its first steps runnable. Proposed for Client.Submit.
//
// Refusals: INVALID (id, namespace, key, graph, input), TOO_LARGE, NOT_FOUND (blob), TYPE_MISMATCH,
// CONFLICT (the id or the key belongs to a job with another graph or input), EXISTS (a unique key is held
// and its policy is to reject). With a unique key the answer may be another job: Existing.
// Again: the same id, or key, with the same graph and input answers Existing and changes nothing.
func submitJob(t *tx, c *fsmpb.SubmitJob) Answer {
	id, ok := jobIDOf(c.Job)
	if !ok {
		return no(CodeInvalid, "a job id has 16 bytes that are not all zero (a ULID)")
	}
	if !validName(c.Namespace) {
		return no(CodeInvalid, "the namespace is 1 to 255 bytes without control characters")
	}
	if c.Key != "" && !validName(c.Key) {
		return no(CodeInvalid, "the idempotency key is at most 255 bytes without control characters")
	}
	hash := t.m.graphHash(c.Graph)
	if a, done := t.submitted(id, hash, c); done {
		return a
	}
	graph, err := t.graph(hash, c.Graph)
	if err != nil {
		return no(CodeInvalid, "the graph cannot be used: %v", err)
	}
	opts, err := parseOptions(c.Options)
	if err != nil {
		return no(CodeInvalid, "the options cannot be read: %v", err)
	}
	if planted.KeyFirst {
		t.rememberKey(c, hash, id)
	}
	input, r := t.checkValue(c.Input, id)
	if r != nil {
		return Answer{Refusal: r}
	}
	if r := t.checkKinds(graph, c.Namespace); r != nil {
		return Answer{Refusal: r}
	}
	if t.m.plans[planKey{hash, c.Namespace}] == nil { // else its names are there
		if r := t.m.checkNames(c.Namespace, queuesOf(graph), kindsOf(graph)); r != nil {
			return Answer{Refusal: r}
		}
	}

	if a, done := t.admit(id, c, opts); done {
		return a
	}

	t.refer(hash, c.Graph)
	j := &job{
		id: id, namespace: c.Namespace, graph: hash, state: JobRunning, createdMS: t.now,
		notBefore: c.NotBeforeMs, retainMS: c.RetainMs, key: c.Key, raw: c.Options, opts: opts,
		bytes: input.size(), left: uint32(graph.Len()), steps: make([]step, graph.Len()), dirty: true, listed: true,
	}
	j.plan = t.m.plans[planKey{hash, c.Namespace}]
	if j.plan == nil {
		j.plan = t.m.newPlan(planKey{hash, c.Namespace}, graph)
	}
	for i := range j.steps {
		j.steps[i].set(j.ref(uint32(i)), TaskBlocked)
		j.steps[i].waiting = uint32(len(graph.Dependencies(dag.StepID(i))))
		j.touch(uint32(i))
	}
	kinds(graph, func(name, types string) {
		k := t.m.names.kind(c.Namespace, name)
		k.live++
		t.m.useTypes(k, types)
		t.m.names.touchKind(k)
	})
	t.m.jobs[id] = j
	t.m.recent.add(id)
	t.jobs = append(t.jobs, j)
	t.loaded = append(t.loaded, j)
	t.set(keyInput(id), encodeValue(input))
	t.claim(input, j)
	t.rememberKey(c, hash, id)
	t.m.state.JobsSubmitted++
	t.saw(id)
	t.jobCreated(j)
	t.start(j)
	return Answer{Job: id, State: j.state}
}

// submitted answers a submission whose id or key is known.
func (t *tx) submitted(id JobID, hash graphHash, c *fsmpb.SubmitJob) (Answer, bool) {
	var j *job
	if !t.m.recent.lacks(id) {
		j = t.job(id)
	}
	if j == nil {
		return t.submittedByKey(hash, c)
	}
	same := j.graph == hash && j.namespace == c.Namespace
	// The input of a debounced job is that of its last submission.
	debounced := j.opts.Unique.GetMode() == fsmpb.Unique_DEBOUNCE
	if !same || !debounced && !decodeValue(t.mustGet(keyInput(j.id))).isThat(c.Input) {
		return no(CodeConflict, "job %s exists with this id and another graph or input: choose a new one", j.id), true
	}
	return Answer{Job: j.id, Existing: true, State: j.state}, true
}

// graphHash is graphHashOf for submissions, of which many in a row have the same graph: to compare is a hundredth of the
// price of the sum.
func (m *Machine) graphHash(graph []byte) graphHash {
	if len(graph) == 0 || !bytes.Equal(graph, m.lastGraph) {
		m.lastGraph, m.lastHash = bytes.Clone(graph), graphHashOf(graph)
	}
	return m.lastHash
}

func graphHashOf(graph []byte) graphHash {
	sum := sha256.Sum256(graph)
	return graphHash(sum[:16])
}

// checkKinds refuses a graph whose tasks are in use with other types.
func (t *tx) checkKinds(g *dag.Graph, namespace string) (r *Refusal) {
	kinds(g, func(name, types string) {
		if r == nil {
			r = t.m.checkTypes(namespace, name, types)
		}
	})
	return r
}

// graph decodes a submitted graph, or finds it decoded.
func (t *tx) graph(h graphHash, b []byte) (*dag.Graph, error) {
	if g := t.m.decoded[h]; g != nil {
		return g, nil
	}
	g, err := dag.Decode(b)
	if err != nil {
		return nil, err
	}
	if len(t.m.decoded) >= planCacheMax || g.Len() > planCacheSmall {
		clear(t.m.decoded)
	}
	t.m.decoded[h] = g
	return g, nil
}

// graphRefs is how many jobs and sources use a graph. A call counts in memory, and writes once.
type graphRefs struct {
	graph graphHash
	n     uint64
	was   uint64 // stored
}

// refer counts one more job that uses a graph, and stores the graph with the first.
func (t *tx) refer(h graphHash, b []byte) {
	r := t.refsOf(h)
	if r.n == 0 {
		t.set(keyGraph(h), b)
	}
	r.n++
}

// unrefer counts one less; the last one removes the graph.
func (t *tx) unrefer(h graphHash) {
	r := t.refsOf(h)
	if r.n--; r.n == 0 {
		t.del(keyGraph(h))
	}
}

func (t *tx) refsOf(h graphHash) *graphRefs {
	if r := t.refs[h]; r != nil {
		return r
	}
	if t.refs == nil {
		t.refs = make(map[graphHash]*graphRefs)
	}
	r := &graphRefs{graph: h}
	if b := t.get(keyRefs(h)); b != nil {
		r.n = decodeCount("graph references", b)
	}
	r.was = r.n
	t.refs[h] = r
	t.heldRefs = append(t.heldRefs, r)
	return r
}

func (t *tx) flushRefs() {
	for _, r := range t.heldRefs {
		switch {
		case r.n > 0 && r.n != r.was:
			t.set(keyRefs(r.graph), encodeCount(r.n))
		case r.n == 0 && r.was > 0:
			t.del(keyRefs(r.graph))
		}
	}
}
