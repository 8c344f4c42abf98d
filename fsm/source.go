package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/dag"
)

// source gives a job's expressions their values: it is what dag's lists and Render read from.
type source struct {
	r     reader
	id    JobID
	graph *dag.Graph
}

var _ dag.Resolver = source{}

// IsList reports whether the expression is a map's results.
func (s source) IsList(e *dag.Expr) bool {
	return e.Op == dag.OpStep && s.graph.Step(e.StepID()).Kind == dag.StepMap
}

// Document opens the input, a constant, or the result of a task or fold step.
func (s source) Document(e *dag.Expr) (dag.Document, error) {
	switch e.Op {
	case dag.OpConst:
		return bytes.NewReader(e.Value), nil
	case dag.OpInput:
		return s.value(decodeValue(s.r.mustGet(keyInput(s.id)))), nil
	}
	ref := TaskRef{Job: s.id, Step: uint32(e.StepID())}
	if st := s.graph.Step(e.StepID()); st.Kind == dag.StepFold {
		ref.Shard = s.group(ref.Step).tree(&st.Options).Root().Shard()
	}
	b := s.r.get(keyResult(ref))
	if b == nil {
		return nil, fmt.Errorf("step %q has no result (yet)", s.graph.Step(e.StepID()).Name)
	}
	return s.value(decodeResult(b).value), nil
}

// stored returns an expression that is one small stored value as a whole: nearly every input of a
// plain task is. ok is false for everything else.
func (s source) stored(e *dag.Expr) (doc []byte, ok bool) {
	switch {
	case e.Op == dag.OpInput:
		v := decodeValue(s.r.mustGet(keyInput(s.id)))
		return v.inline, v.blob == nil
	case e.Op == dag.OpStep && s.graph.Step(e.StepID()).Kind == dag.StepTask:
		if b := s.r.get(keyResult(TaskRef{Job: s.id, Step: uint32(e.StepID())})); b != nil {
			v := decodeResult(b).value
			return v.inline, v.blob == nil
		}
	}
	return nil, false
}

func (s source) group(step uint32) *group {
	if b := s.r.get(keyGroup(s.id, step)); b != nil {
		return decodeGroup(b)
	}
	return &group{}
}

// Elements opens the results of a map, in item order.
func (s source) Elements(e *dag.Expr) (dag.Elements, error) {
	step := uint32(e.StepID())
	g := s.group(step)
	all := s.results(step, 0, g.total)
	all.present = g.ok
	if all.settled {
		all.present += g.dead
	}
	return counted{all}, nil
}

// counted are the results of a whole map that is done: how many are there is known.
type counted struct{ elements }

// Present is the number of results that are there.
func (c counted) Present() (uint64, error) { return c.present, nil }

// results opens count results of a step from the given shard on.
func (s source) results(step uint32, first, count uint64) elements {
	return elements{s: s, first: TaskRef{Job: s.id, Step: step, Shard: first}, count: count,
		settled: s.graph.Step(dag.StepID(step)).Options.Settled}
}

// elements are results of consecutive shards as a list.
type elements struct {
	s       source
	first   TaskRef
	count   uint64
	settled bool
	present uint64
}

func (e elements) Len() uint64 { return e.count }

func (e elements) At(i uint64) (doc []byte, present bool, err error) {
	ref := e.first
	ref.Shard += i
	b := e.s.r.get(keyResult(ref))
	if b == nil {
		return nil, false, nil
	}
	r := decodeResult(b)
	doc, err = readAll(e.s.value(r.value))
	if err == nil && e.settled && !r.dead {
		doc = append(append([]byte(`{"value":`), doc...), '}')
	}
	return doc, true, err
}

// Document opens one result, so that a large one is read window by window.
func (e elements) Document(i uint64) (doc dag.Document, present bool, err error) {
	if e.settled {
		b, present, err := e.At(i)
		return dag.Bytes(b), present, err
	}
	ref := e.first
	ref.Shard += i
	b := e.s.r.get(keyResult(ref))
	if b == nil {
		return nil, false, nil
	}
	return e.s.value(decodeResult(b).value), true, nil
}

// readAll reads a document whole: a value has at most BlobMax bytes.
func readAll(d dag.Document) ([]byte, error) {
	if b, ok := d.(*inlineDoc); ok {
		return b.doc, nil
	}
	b := make([]byte, d.Size())
	n, err := d.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b, err
}

// inlineDoc is a value that is there as a whole.
type inlineDoc struct {
	*bytes.Reader
	doc []byte
}

func (s source) value(v value) dag.Document {
	if v.blob == nil {
		return &inlineDoc{Reader: bytes.NewReader(v.inline), doc: v.inline}
	}
	return &blobDoc{r: s.r, ref: *v.blob, last: -1}
}

// blobDoc reads a blob chunk by chunk; it keeps the last one.
type blobDoc struct {
	r     reader
	ref   blobRef
	last  int64
	chunk []byte
}

func (d *blobDoc) Size() int64 { return int64(d.ref.size) }

func (d *blobDoc) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < d.Size() {
		if c := off / ChunkBytes; c != d.last {
			d.chunk, d.last = d.r.mustGet(keyChunk(d.ref.id, uint32(c))), c
		}
		k := copy(p[n:], d.chunk[off%ChunkBytes:])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// inputList is the list that a map or fold step goes over by its cursor.
func inputList(r reader, id JobID, g *dag.Graph, step uint32) (*dag.List, error) {
	s := g.Step(dag.StepID(step))
	e := &s.Input
	if s.Kind == dag.StepFold {
		e = &dag.Expr{Op: dag.OpChunk, Of: e, N: s.Options.WithDefaults().FanIn}
	}
	return dag.NewList(e, source{r, id, g})
}

// list is inputList, kept between the shards of a step so that each reads on where the last one
// stopped. The cache holds nothing that is not in the state.
func (t *tx) list(j *job, step uint32) (*dag.List, error) {
	key := TaskRef{Job: j.id, Step: step}
	if l := t.m.lists[key]; l != nil {
		return l, nil
	}
	if len(t.m.lists) >= listCacheMax {
		clear(t.m.lists)
	}
	l, err := inputList(liveReader{t.m}, j.id, j.plan.graph, step)
	if err == nil {
		t.m.lists[key] = l
	}
	return l, err
}

const listCacheMax = 64

// liveReader reads through whatever apply is under way.
type liveReader struct{ m *Machine }

func (r liveReader) get(key []byte) []byte     { return r.m.tx.get(key) }
func (r liveReader) mustGet(key []byte) []byte { return r.m.tx.mustGet(key) }

// count counts the items of a list expression.
func (t *tx) count(j *job, e *dag.Expr) (uint64, error) {
	t.flushGroups(j)
	l, err := dag.NewList(e, source{t, j.id, j.plan.graph})
	if err != nil {
		return 0, err
	}
	return l.Count()
}

// flushGroups puts a job's changed groups where a source reads them.
func (t *tx) flushGroups(j *job) {
	for i, g := range j.groups {
		if g != nil && g.dirty {
			t.set(keyGroup(j.id, uint32(i)), g.encode())
			g.dirty = false
		}
	}
}

// input finds a plain step's input: the bytes, when this very call has brought them (the next step of
// a chain, a task submitted a moment ago), or the key under which they are stored. Neither: the input
// has to be rendered.
func (t *tx) input(j *job, ref TaskRef) (doc, key []byte) {
	sp := &j.plan.steps[ref.Step]
	e := &sp.step.Input
	switch {
	case !sp.plain():
		return nil, nil
	case e.Op == dag.OpInput:
		key = keyInput(j.id)
	case e.Op == dag.OpStep && j.plan.steps[e.StepID()].plain():
		key = keyResult(j.ref(uint32(e.StepID())))
	default:
		return nil, nil
	}
	if c := t.changes[string(key)]; c != nil && !c.del {
		doc = storedValue(key, c.value).inline
	}
	return doc, key
}

// storedValue reads the value at the key of an input or a result.
func storedValue(key, b []byte) value {
	if key[17] == partInput {
		return decodeValue(b)
	}
	return decodeResult(b).value
}

// loadFrom is from how many inputs on LoadInputs opens an iterator.
const loadFrom = 4

// LoadInputs reads the inputs of leases that were just given, as far as they are stored values of at
// most max bytes and not at hand, by one iterator. Tasks leave a backlog in the order in which they came
// in, so their inputs lie side by side: stepping on costs a fraction of a look-up each. What it leaves
// out, GrantInput reads.
func (m *Machine) LoadInputs(grants []Grant, max int) (err error) {
	defer catch(&err)
	missing := 0
	for i := range grants {
		if grants[i].Input == nil && grants[i].stored != nil {
			missing++
		}
	}
	if missing < loadFrom {
		return nil
	}
	if err := m.enter(); err != nil {
		return err
	}
	defer m.reads.RUnlock()
	it, err := m.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagData}, UpperBound: []byte{tagData + 1}})
	if err != nil {
		return fmt.Errorf("fsm: read inputs: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for i := range grants {
		g := &grants[i]
		if g.Input != nil || g.stored == nil || !it.SeekGE(g.stored) || !bytes.Equal(it.Key(), g.stored) {
			continue
		}
		b, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("fsm: read inputs: %w", err)
		}
		if doc := storedValue(g.stored, b).inline; len(doc) <= max {
			g.Input = bytes.Clone(doc)
		}
	}
	return nil
}

// GrantInput returns the input of a lease that was just given, or large when it has more than max
// bytes. It reads the last committed state, and is cheaper than TaskInputBytes.
func (m *Machine) GrantInput(g *Grant, max int) (doc []byte, large bool, err error) {
	if doc, err = m.storedInput(g); err != nil {
		return nil, false, err
	}
	if doc == nil {
		return m.TaskInputBytes(g.Task, max)
	}
	if len(doc) > max {
		return nil, true, nil
	}
	return doc, false, nil
}

func (m *Machine) storedInput(g *Grant) (doc []byte, err error) {
	defer catch(&err)
	if g.Input != nil || g.stored == nil {
		return g.Input, nil
	}
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.reads.RUnlock()
	if b := m.disk.get(g.stored); b != nil {
		doc = storedValue(g.stored, b).inline
	}
	return doc, nil
}

// writeTaskInput renders the input of a task. tk is its record (map and fold tasks).
func writeTaskInput(w io.Writer, r reader, g *dag.Graph, ref TaskRef, tk *task) error {
	s := g.Step(dag.StepID(ref.Step))
	src := source{r, ref.Job, g}
	if s.Kind == dag.StepTask {
		if doc, ok := src.stored(&s.Input); ok {
			_, err := w.Write(doc)
			return err
		}
		return dag.Render(w, &s.Input, src)
	}
	n := dag.NodeOf(ref.Shard)
	gr := src.group(ref.Step)
	if s.Kind == dag.StepMap || n.Level == 1 && gr.limit > 0 {
		l, err := inputList(r, ref.Job, g, ref.Step)
		if err != nil {
			return err
		}
		item, _, ok, err := l.Next(tk.cursor)
		if err == nil && !ok {
			err = fmt.Errorf("task %s is beyond the end of its list", ref)
		}
		if err == nil {
			_, err = w.Write(item)
		}
		return err
	}
	first, count := gr.tree(&s.Options).Children(n)
	step := ref.Step
	if n.Level == 1 {
		step = uint32(s.Input.StepID())
	} else {
		first = dag.Node{Level: n.Level - 1, Index: first}.Shard()
	}
	return writeList(w, src.results(step, first, uint64(count)))
}

// writeList renders consecutive results as a list, without those that are absent.
func writeList(w io.Writer, e elements) error {
	sep := []byte("[")
	for i := range e.count {
		doc, present, err := e.At(i)
		if err != nil {
			return err
		}
		if !present {
			continue
		}
		if _, err := w.Write(sep); err != nil {
			return err
		}
		if _, err := w.Write(doc); err != nil {
			return err
		}
		sep = []byte(",")
	}
	end := "]"
	if sep[0] == '[' {
		end = "[]"
	}
	_, err := io.WriteString(w, end)
	return err
}

// graphCache holds decoded graphs for readers outside of Apply.
type graphCache struct {
	mu     sync.Mutex // guards what follows
	graphs map[graphHash]*dag.Graph
}

func (c *graphCache) get(r reader, h graphHash) *dag.Graph {
	c.mu.Lock()
	g := c.graphs[h]
	c.mu.Unlock()
	if g != nil {
		return g
	}
	g, err := dag.Decode(r.mustGet(keyGraph(h)))
	must(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.graphs == nil || len(c.graphs) >= planCacheMax || g.Len() > planCacheSmall {
		c.graphs = make(map[graphHash]*dag.Graph)
	}
	c.graphs[h] = g
	return g
}
