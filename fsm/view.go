package fsm

import (
	"bytes"
	"encoding/hex"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// View is the state as it was at one index: reads are consistent with each other. Close it soon; it
// holds back the store's clean-up. It may be used from any goroutine, by one at a time.
type View struct {
	m     *Machine
	snap  *pebble.Snapshot
	disk  disk
	state state
}

// View opens a view of the last committed state.
func (m *Machine) View() *View {
	snap := m.db.NewSnapshot()
	v := &View{m: m, snap: snap, disk: disk{snap}}
	if b := v.disk.get(keyState()); b != nil {
		v.state = decodeState(b)
	}
	return v
}

// Close releases the view.
func (v *View) Close() error { return v.snap.Close() }

// Index is the log index that the view shows.
func (v *View) Index() uint64 { return v.state.index }

// NowMS is the machine's time at that index, in unix milliseconds.
func (v *View) NowMS() int64 { return v.state.nowMS }

// Counters are what the cluster has done up to that index.
func (v *View) Counters() Counters { return v.state.Counters }

// ClusterID is the cluster's id in hex, "" before it has one.
func (v *View) ClusterID() string {
	if v.state.cluster == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(v.state.cluster[:])
}

// NextDueMS is when the earliest timer is due, 0 when there is none.
func (v *View) NextDueMS() (due int64) {
	v.disk.scan([]byte{tagTimer}, []byte{tagTimer + 1}, func(k, _ []byte) bool {
		due, _, _ = parseTimer(k)
		return false
	})
	return due
}

// Job returns a job, or ErrNotFound.
func (v *View) Job(id JobID) (view *JobView, err error) {
	defer catch(&err)
	j := readJob(v.disk, id)
	if j == nil {
		return nil, ErrNotFound
	}
	return v.job(j), nil
}

// JobHead returns a job's namespace and state, or ErrNotFound. It is cheaper than Job.
func (v *View) JobHead(id JobID) (namespace string, s JobState, err error) {
	defer catch(&err)
	return v.disk.jobHead(id)
}

// JobHead returns a job's namespace and state as last committed, or ErrNotFound.
func (m *Machine) JobHead(id JobID) (namespace string, s JobState, err error) {
	defer catch(&err)
	if err := m.enter(); err != nil {
		return "", 0, err
	}
	defer m.reads.RUnlock()
	return m.disk.jobHead(id)
}

func (k disk) jobHead(id JobID) (namespace string, s JobState, err error) {
	b := k.get(keyJob(id))
	if b == nil {
		return "", 0, ErrNotFound
	}
	d := newDec("job", b)
	namespace = d.str()
	d.raw(len(graphHash{})) // the graph
	s = JobState(d.byte())
	d.end()
	return namespace, s, nil
}

// Jobs lists jobs, the youngest ids first, from after the given id on (zero: from the start), at most limit
// of them. next is where the following page begins; zero when this is the last one.
func (v *View) Jobs(f JobFilter, after JobID, limit int) (jobs []*JobView, next JobID, err error) {
	defer catch(&err)
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{tagJob}, UpperBound: []byte{tagJob + 1}})
	must(err)
	defer func() { must(it.Close()) }()
	ok := it.Last()
	if !after.IsZero() {
		ok = it.SeekLT(keyJob(after))
	}
	for ; ok; ok = it.Prev() {
		j := decodeJob(parseJobKey(it.Key()), bytes.Clone(it.Value()))
		if f.Namespace != "" && f.Namespace != j.namespace || f.State != 0 && f.State != j.state {
			continue
		}
		if g := v.m.graphs.get(v.disk, j.graph); f.Workflow != "" && f.Workflow != g.Name {
			continue
		}
		if len(jobs) == limit {
			return jobs, jobs[limit-1].ID, nil
		}
		jobs = append(jobs, v.job(readJob(v.disk, j.id)))
	}
	return jobs, JobID{}, nil
}

func (v *View) job(j *job) *JobView {
	g := v.m.graphs.get(v.disk, j.graph)
	view := &JobView{
		ID: j.id, Namespace: j.namespace, Workflow: g.Name, State: j.state, Key: j.key,
		CreatedMS: j.createdMS, FinishedMS: j.finishedMS, CancelReason: j.cancelReason(),
		Schedule: j.opts.GetSchedule(), TickMS: j.opts.GetTickMs(),
		Steps: make([]StepView, len(j.steps)), Headers: j.opts.GetHeaders(),
	}
	view.Unique = v.unique(j, g.Name)
	copy(view.Batch[:], j.opts.Batch)
	if j.failed {
		view.Error = v.taskError(g, j.failedAt)
	}
	for i := range j.steps {
		view.Steps[i] = v.step(j, g, uint32(i))
	}
	return view
}

func (v *View) step(j *job, g *dag.Graph, i uint32) StepView {
	s, gs := &j.steps[i], g.Step(dag.StepID(i))
	view := StepView{
		Name: gs.Name, Kind: string(gs.Kind), Task: gs.Task, State: s.state,
		Attempts: s.attempts, Crashes: s.crashes, DueMS: s.due, Total: 1,
	}
	for _, d := range g.Dependencies(dag.StepID(i)) {
		view.After = append(view.After, g.Step(d).Name)
	}
	if gs.Kind == dag.StepTask {
		v.plainStep(&view, g, j.ref(i), s)
		return view
	}
	b := v.disk.get(keyGroup(j.id, i))
	if b == nil {
		view.Total = 0
		return view
	}
	gr := decodeGroup(b)
	view.Total = gr.total
	if gs.Kind == dag.StepFold {
		view.Total = nodes(gr.tree(&gs.Options))
	}
	view.Succeeded, view.Dead, view.Crashes = gr.ok, gr.dead-gr.discarded, gr.crash
	view.Discarded = gr.discarded
	view.Started, view.Retrying = uint64(gr.held), uint64(gr.retry)
	view.Pending = view.Total - min(view.Total, gr.ok+gr.dead+view.Started+view.Retrying)
	if j.failed && j.failedAt.Step == i {
		view.Error = v.taskError(g, j.failedAt)
	}
	return view
}

func (v *View) plainStep(view *StepView, g *dag.Graph, ref TaskRef, s *step) {
	switch s.state {
	case TaskSuccess:
		view.Succeeded = 1
	case TaskDead:
		view.Dead = 1
	case TaskStarted:
		view.Started = 1
		view.Worker, view.Session, view.Fence = v.worker(s.session), s.session, s.fence
	case TaskRetry:
		view.Retrying = 1
	case TaskPending:
		view.Pending = 1
	}
	if s.attempts > 0 && s.state != TaskSuccess || s.state == TaskDead {
		view.Error = v.taskError(g, ref)
	}
}

// nodes is the number of a tree's nodes.
func nodes(t dag.Tree) (n uint64) {
	for l := 1; l <= t.Levels(); l++ {
		n += max(1, t.Width(l))
	}
	return n
}

func (v *View) worker(session uint64) string {
	if b := v.disk.get(keySession(session)); b != nil {
		return decodeSession(session, b).worker
	}
	return ""
}

func (v *View) taskError(g *dag.Graph, ref TaskRef) *TaskError {
	var last *fsmpb.Error
	v.disk.scan(keyAttempts(ref), prefixEnd(keyAttempts(ref)), func(_, b []byte) bool { // at most attemptsKept
		if a := decodeAttempt(b); a.err != nil {
			last = a.err
		}
		return true
	})
	if last == nil {
		return nil
	}
	return &TaskError{Step: g.Step(dag.StepID(ref.Step)).Name, Shard: ref.Shard, Err: last}
}

// Tasks lists the tasks of a job that have records: plain steps, and of maps and folds those that are
// live, dead or canceled. step and state filter ("" and 0: all); after is the last task of the page
// before (zero: from the start).
func (v *View) Tasks(id JobID, step string, state TaskState, after TaskRef, limit int) (tasks []TaskView, next TaskRef, err error) {
	defer catch(&err)
	j := readJob(v.disk, id)
	if j == nil {
		return nil, TaskRef{}, ErrNotFound
	}
	g := v.m.graphs.get(v.disk, j.graph)
	if _, ok := g.Lookup(step); step != "" && !ok {
		return nil, TaskRef{}, ErrNotFound
	}
	var last TaskRef
	full := false
	add := func(ref TaskRef, tk *task) bool {
		name := g.Step(dag.StepID(ref.Step)).Name
		if step != "" && step != name || state != 0 && state != tk.state || !after.Job.IsZero() && ref.compare(after) <= 0 {
			return true
		}
		if len(tasks) == limit {
			full = true
			return false
		}
		last = ref
		tasks = append(tasks, TaskView{
			Step: name, Shard: ref.Shard, Fence: tk.fence, Saved: tk.savedBytes, State: tk.state, Attempts: tk.attempts, Crashes: tk.crashes,
			Session: tk.session, Worker: v.worker(tk.session), DueMS: tk.due, Error: v.taskError(g, ref),
		})
		return true
	}
	for i := range j.steps {
		if full {
			break
		}
		if g.Step(dag.StepID(i)).Kind == dag.StepTask {
			add(j.ref(uint32(i)), &j.steps[i].task)
			continue
		}
		prefix := be.AppendUint32(keyData(id, partTask), uint32(i))
		v.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
			return add(parseTaskPart(k), decodeTask(bytes.Clone(b)))
		})
	}
	if full {
		return tasks, last, nil
	}
	return tasks, TaskRef{}, nil
}

// JobInput streams a job's input.
func (v *View) JobInput(w io.Writer, id JobID) error {
	return v.render(w, id, func(*dag.Graph) (*dag.Expr, error) { e := dag.Input(); return &e, nil })
}

// JobResult streams the result of a job in SUCCESS.
func (v *View) JobResult(w io.Writer, id JobID) error {
	return v.render(w, id, func(g *dag.Graph) (*dag.Expr, error) { return &g.Output, nil })
}

// StepResult streams the result of a step that has succeeded; of a map the list.
func (v *View) StepResult(w io.Writer, id JobID, step string) error {
	return v.render(w, id, func(g *dag.Graph) (*dag.Expr, error) {
		i, ok := g.Lookup(step)
		if !ok {
			return nil, ErrNotFound
		}
		return g.ResultOf(i), nil
	})
}

func (v *View) render(w io.Writer, id JobID, expr func(*dag.Graph) (*dag.Expr, error)) (err error) {
	defer catch(&err)
	b := v.disk.get(keyJob(id))
	if b == nil {
		return ErrNotFound
	}
	g := v.m.graphs.get(v.disk, graphOf(b))
	e, err := expr(g)
	if err != nil {
		return err
	}
	if doc, ok := (source{v.disk, id, g}).stored(e); ok {
		_, err := w.Write(doc)
		return err
	}
	return dag.Render(w, e, source{v.disk, id, g})
}

// TaskInput streams the input of a task that has a record.
func (v *View) TaskInput(w io.Writer, ref TaskRef) (err error) {
	defer catch(&err)
	return v.m.taskInput(w, v.disk, ref)
}

func (m *Machine) taskInput(w io.Writer, d disk, ref TaskRef) error {
	b := d.get(keyJob(ref.Job))
	if b == nil {
		return ErrNotFound
	}
	g := m.graphs.get(d, graphOf(b))
	if int(ref.Step) >= g.Len() {
		return ErrNotFound
	}
	var tk *task
	if g.Step(dag.StepID(ref.Step)).Kind != dag.StepTask {
		b := d.get(keyTask(ref))
		if b == nil {
			return ErrNotFound
		}
		tk = decodeTask(b)
	}
	return writeTaskInput(w, d, g, ref, tk)
}

// TaskInputBytes returns the input of a leased task from the last committed state, or large when it
// has more than max bytes.
func (m *Machine) TaskInputBytes(ref TaskRef, max int) (doc []byte, large bool, err error) {
	defer catch(&err)
	if err := m.enter(); err != nil {
		return nil, false, err
	}
	defer m.reads.RUnlock()
	w := &limited{max: max}
	err = m.taskInput(w, m.disk, ref)
	return w.result(err)
}

// JobResultBytes returns the result of a job from the last committed state, or large when it has more
// than max bytes.
func (m *Machine) JobResultBytes(id JobID, max int) (doc []byte, large bool, err error) {
	defer catch(&err)
	if err := m.enter(); err != nil {
		return nil, false, err
	}
	defer m.reads.RUnlock()
	w := &limited{max: max}
	v := View{m: m, disk: m.disk}
	err = v.JobResult(w, id)
	return w.result(err)
}

// limited collects at most max bytes.
type limited struct {
	buf  []byte
	max  int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.buf)+len(p) > l.max {
		l.over = true
		return 0, io.ErrShortBuffer
	}
	l.buf = append(l.buf, p...)
	return len(p), nil
}

func (l *limited) result(err error) ([]byte, bool, error) {
	if l.over {
		return nil, true, nil
	}
	return l.buf, false, err
}

// Sessions lists the live sessions by id.
func (v *View) Sessions() (all []SessionView, err error) {
	defer catch(&err)
	queues := v.queues()
	v.disk.scan([]byte{tagSession}, []byte{tagSession + 1}, func(k, b []byte) bool {
		all = append(all, v.session(decodeSession(be.Uint64(k[1:]), bytes.Clone(b)), queues))
		return true
	})
	return all, nil
}

// Session returns a live session, or ErrNotFound.
func (v *View) Session(id uint64) (s SessionView, err error) {
	defer catch(&err)
	b := v.disk.get(keySession(id))
	if b == nil {
		return s, ErrNotFound
	}
	return v.session(decodeSession(id, b), v.queues()), nil
}

func (v *View) session(s *session, queues map[uint32]*queue) SessionView {
	view := SessionView{
		ID: s.id, Namespace: s.namespace, Worker: s.worker, Kinds: s.kinds, Labels: s.labels,
		OpenedMS: s.openedMS, TTLMS: s.ttlMS, Draining: s.draining, Shared: s.shared, Strict: s.strict,
	}
	used := make(map[uint32]uint32)
	v.eachLease(s.id, func(_ Fence, l *lease) { used[l.queue]++ })
	for _, g := range s.slots {
		view.Queues = append(view.Queues, QueueSlots{Queue: queues[g.queue].name, Slots: g.slots, Prefetch: g.prefetch, Used: used[g.queue]})
	}
	return view
}

func (v *View) queues() map[uint32]*queue {
	all := make(map[uint32]*queue)
	v.disk.scan([]byte{tagQueue}, []byte{tagQueue + 1}, func(k, b []byte) bool {
		q := decodeQueue(be.Uint32(k[1:]), b)
		all[q.id] = q
		return true
	})
	return all
}

func (v *View) eachLease(session uint64, f func(Fence, *lease)) {
	low := keySession(session)
	low[0] = tagLease
	v.disk.scan(low, prefixEnd(low), func(k, b []byte) bool {
		_, fence := parseLease(k)
		f(fence, decodeLease(b))
		return true
	})
}

// Leases lists what a session holds: attempts to run, and attempts that are revoked and of which only
// the slot is still taken.
func (v *View) Leases(session uint64) (grants []Grant, revokes []Revoke, err error) {
	defer catch(&err)
	queues := v.queues()
	v.eachLease(session, func(f Fence, l *lease) {
		if l.revoked {
			revokes = append(revokes, Revoke{Session: session, Fence: f, Task: l.ref, Cause: l.cause, Reason: v.endReason(l.ref.Job)})
			return
		}
		grants = append(grants, v.grant(session, f, l, queues[l.queue].name))
	})
	return grants, revokes, nil
}

func (v *View) grant(session uint64, f Fence, l *lease, queue string) Grant {
	j := readJob(v.disk, l.ref.Job)
	g := v.m.graphs.get(v.disk, j.graph)
	s := g.Step(dag.StepID(l.ref.Step))
	kind, tk := s.Task, &j.steps[l.ref.Step].task
	if s.Kind != dag.StepTask {
		tk = decodeTask(v.disk.mustGet(keyTask(l.ref)))
		if s.Kind == dag.StepFold && s.Merge != "" && dag.NodeOf(l.ref.Shard).Level > 1 {
			kind = s.Merge
		}
	}
	return Grant{
		Session: session, Fence: f, Task: l.ref, Kind: kind, Step: s.Name, Workflow: g.Name, Queue: queue,
		Attempt: tk.attempts + 1, Crashes: tk.crashes, TimeoutMS: s.Options.TimeoutMS, HeartbeatMS: s.Options.HeartbeatMS,
		Saved: tk.saves > 0, Headers: j.opts.GetHeaders(),
		Schedule: j.opts.GetSchedule(), TickMS: j.opts.GetTickMs(),
	}
}

// Queues lists the queues by namespace and name.
func (v *View) Queues() (all []QueueView, err error) {
	defer catch(&err)
	queues := v.queues()
	byID := make(map[uint32]*QueueView)
	for id, q := range queues {
		byID[id] = q.view()
		byID[id].Jobs = v.jobs(q)
	}
	sessions, err := v.Sessions()
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		for _, sl := range s.Queues {
			for id, q := range queues {
				if q.namespace == s.Namespace && q.name == sl.Queue {
					slots, used := sl.Slots, sl.Used
					if s.Shared > 0 {
						slots, used = s.Shared, s.Used()
					}
					byID[id].Slots += uint64(slots)
					if !s.Draining {
						byID[id].Free += uint64(slots - min(slots, used))
					}
				}
			}
		}
	}
	for _, q := range byID {
		all = append(all, *q)
	}
	slices.SortFunc(all, func(a, b QueueView) int {
		return bytes.Compare([]byte(a.Namespace+"\x00"+a.Name), []byte(b.Namespace+"\x00"+b.Name))
	})
	return all, nil
}
