package fsm

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// harness drives a machine entry by entry and keeps the log, for replays.
type harness struct {
	t     testing.TB
	fs    vfs.FS
	m     *Machine
	log   []LogEntry
	now   int64
	index uint64
	hash  map[uint64]string
	last  *Result
}

func newHarness(t testing.TB) *harness {
	h := &harness{t: t, fs: vfs.NewMem(), now: 1_000_000, hash: make(map[uint64]string)}
	h.m = h.open(h.fs, "state")
	t.Cleanup(func() { h.m.Close() })
	return h
}

func (h *harness) open(fs vfs.FS, dir string) *Machine {
	h.t.Helper()
	m, err := Open(fs, dir, Options{CheckInvariants: true, CacheBytes: 1 << 20, OnHash: func(r HashResult) {
		if old, ok := h.hash[r.Index]; ok && old != r.Hash {
			h.t.Fatalf("two hashes at index %d: %s and %s", r.Index, old, r.Hash)
		}
		h.hash[r.Index] = r.Hash
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// apply puts the commands into one entry and applies it.
func (h *harness) apply(cmds ...*fsmpb.Command) *Result {
	h.t.Helper()
	data, err := EncodeEntry(h.now, cmds)
	if err != nil {
		h.t.Fatal(err)
	}
	h.index++
	e := LogEntry{Index: h.index, Term: 1, Data: data}
	h.log = append(h.log, e)
	res, err := h.m.Apply([]LogEntry{e})
	if err != nil {
		h.t.Fatal(err)
	}
	h.last = res[0]
	return h.last
}

// reopen closes the machine and opens it again.
func (h *harness) reopen() {
	h.t.Helper()
	if err := h.m.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.m = h.open(h.fs, "state")
}

// replay applies the whole log to an empty machine, n entries a call, and compares the hashes.
func (h *harness) replay(n int) {
	h.t.Helper()
	want, err := h.m.Hash()
	if err != nil {
		h.t.Fatal(err)
	}
	m := h.open(vfs.NewMem(), "replay")
	defer m.Close()
	for i := 0; i < len(h.log); i += n {
		if _, err := m.Apply(h.log[i:min(i+n, len(h.log))]); err != nil {
			h.t.Fatal(err)
		}
	}
	if got, _ := m.Hash(); got != want {
		h.t.Fatalf("replay of %d entries, %d a call: hash %s, want %s\n--- replay\n%s--- original\n%s", len(h.log), n, got, want, m.Dump(), h.m.Dump())
	}
}

func jobID(name string) JobID {
	s := sha256.Sum256([]byte(name))
	return JobID(s[:16])
}

func submit(job string, g *dag.Graph, input string) *fsmpb.Command {
	id := jobID(job)
	return &fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{
		Job: id[:], Namespace: "default", Graph: dag.Encode(g), Input: inline(input),
	}}}
}

func inline(doc string) *fsmpb.Value { return &fsmpb.Value{Inline: []byte(doc)} }

func openWorker(name string, slots uint32, kinds ...string) *fsmpb.Command {
	o := &fsmpb.OpenSession{Namespace: "default", Worker: name, TtlMs: 10_000, Nonce: make([]byte, 16)}
	s := sha256.Sum256([]byte(name))
	copy(o.Nonce, s[:])
	o.Queues = []*fsmpb.QueueSlots{{Queue: "default", Slots: slots}}
	for _, k := range kinds {
		o.Kinds = append(o.Kinds, &fsmpb.TaskKind{Name: k})
	}
	return &fsmpb.Command{Kind: &fsmpb.Command_OpenSession{OpenSession: o}}
}

func closeWorker(session uint64, lost bool) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_CloseSession{CloseSession: &fsmpb.CloseSession{Session: session, Lost: lost}}}
}

func prefetch(session uint64, queue string, tasks int) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_SetPrefetch{SetPrefetch: &fsmpb.SetPrefetch{Session: session, Queue: queue, Tasks: uint32(tasks)}}}
}

func complete(g Grant, doc string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_CompleteTask{CompleteTask: &fsmpb.CompleteTask{
		Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto(), Result: inline(doc),
	}}}
}

func failure(g Grant, msg string, permanent bool) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_FailTask{FailTask: &fsmpb.FailTask{
		Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto(), Permanent: permanent,
		Error: &fsmpb.Error{Type: "test", Message: msg},
	}}}
}

func release(g Grant) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_ReleaseTask{ReleaseTask: &fsmpb.ReleaseTask{
		Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto(),
	}}}
}

func save(g Grant, slot uint32, name string, seq uint64, doc string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_SaveTask{SaveTask: &fsmpb.SaveTask{
		Session: g.Session, Fence: g.Fence.Proto(), Task: g.Task.Proto(), Slot: slot, Name: name, Seq: seq, Data: []byte(doc),
	}}}
}

func logLines(g Grant, texts ...string) *fsmpb.Command {
	l := &fsmpb.TaskLines{Fence: g.Fence.Proto(), Task: g.Task.Proto()}
	for i, text := range texts {
		l.Lines = append(l.Lines, &fsmpb.LogLine{TimeMs: int64(1000 + i), Level: int32(4 * i), Text: text})
	}
	return &fsmpb.Command{Kind: &fsmpb.Command_LogTask{LogTask: &fsmpb.LogTask{Session: g.Session, Tasks: []*fsmpb.TaskLines{l}}}}
}

func cancel(job JobID) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_CancelJob{CancelJob: &fsmpb.CancelJob{Job: job[:], Reason: "test"}}}
}

func retry(job JobID) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_RetryJob{RetryJob: &fsmpb.RetryJob{Job: job[:]}}}
}

func purge(job JobID) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_PurgeJob{PurgeJob: &fsmpb.PurgeJob{Job: job[:]}}}
}

func hashNow() *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_HashState{HashState: &fsmpb.HashState{}}}
}

func chunk(blob [16]byte, n uint32, data []byte) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_PutChunk{PutChunk: &fsmpb.PutChunk{Blob: blob[:], Index: n, Data: data}}}
}

// upload cuts a document into chunks and names it.
func upload(name string, doc []byte) ([]*fsmpb.Command, *fsmpb.Value) {
	s := sha256.Sum256([]byte(name))
	id := [16]byte(s[:16])
	var cmds []*fsmpb.Command
	var sums []byte
	for n := 0; n*ChunkBytes < len(doc); n++ {
		part := doc[n*ChunkBytes : min((n+1)*ChunkBytes, len(doc))]
		cmds = append(cmds, chunk(id, uint32(n), part))
		sum := sha256.Sum256(part)
		sums = append(sums, sum[:]...)
	}
	sum := sha256.Sum256(sums)
	return cmds, &fsmpb.Value{Blob: &fsmpb.Blob{Id: id[:], Size: uint64(len(doc)), Sha256: sum[:]}}
}

func (h *harness) input(g Grant) string {
	h.t.Helper()
	doc, large, err := h.m.TaskInputBytes(g.Task, 64<<20)
	if err != nil || large {
		h.t.Fatalf("input of %s: large %v, %v", g.Task, large, err)
	}
	many := []Grant{g, g, g, g}
	if err := h.m.LoadInputs(many, 64<<20); err != nil || many[3].Input != nil && string(many[3].Input) != string(doc) {
		h.t.Fatalf("inputs of %s: %s (%v), the state has %s", g.Task, many[3].Input, err, doc)
	}
	if of, _, err := h.m.GrantInput(&g, 64<<20); err != nil || string(of) != string(doc) {
		h.t.Fatalf("input of %s: the grant has %s (%v), the state %s", g.Task, of, err, doc)
	}
	return string(doc)
}

func (h *harness) job(id JobID) *JobView {
	h.t.Helper()
	v := h.m.View()
	defer v.Close()
	j, err := v.Job(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

func (h *harness) result(id JobID) string {
	h.t.Helper()
	v := h.m.View()
	defer v.Close()
	var b strings.Builder
	if err := v.JobResult(&b, id); err != nil {
		h.t.Fatal(err)
	}
	return b.String()
}
