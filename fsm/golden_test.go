package fsm

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// goldenCommands is one of every kind that can be in the log, with every field set.
func goldenCommands() []*fsmpb.Command {
	id, f := jobID("golden"), Fence{Index: 300, Pos: 7}
	ref := TaskRef{Job: id, Step: 3, Shard: 1 << 48}
	blob := &fsmpb.Value{Blob: &fsmpb.Blob{Id: id[:], Size: 1 << 20, Sha256: bytes.Repeat([]byte{7}, 32)}}
	g := Grant{Session: 9, Fence: f, Task: ref}
	fail := failure(g, "boom", true)
	fail.GetFailTask().Discard, fail.GetFailTask().Timeout = true, true
	fail.GetFailTask().RetryAfterMs, fail.GetFailTask().Snooze = 5, true
	fail.GetFailTask().Error.Stack = "stack"
	lim := &fsmpb.Limit{Namespace: "ns", Scope: fsmpb.LimitScope_LIMIT_SCOPE_TASK, Name: "t", PerPartition: true, Kind: fsmpb.LimitKind_LIMIT_KIND_RATE, N: 5, PeriodMs: 1000, Burst: 2}
	return append([]*fsmpb.Command{
		goldenSchedules()[0], goldenSchedules()[1], goldenSchedules()[2], goldenSchedules()[3], goldenSchedules()[4],
		{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id[:], Namespace: "ns", Graph: []byte("{}"), Input: blob, NotBeforeMs: 1, RetainMs: 2, Key: "k"}}},
		cancel(id), retry(id), purge(id),
		{Kind: &fsmpb.Command_OpenSession{OpenSession: &fsmpb.OpenSession{
			Namespace: "ns", Worker: "w", Queues: []*fsmpb.QueueSlots{{Queue: "q", Slots: 3}}, Kinds: []*fsmpb.TaskKind{{Name: "t", Types: "x"}},
			Labels: map[string]string{"a": "b"}, TtlMs: 4, Nonce: id[:],
		}}},
		closeWorker(9, true), complete(g, `1`), fail, release(g), chunk([16]byte(id), 2, []byte("data")), hashNow(),
		{Kind: &fsmpb.Command_DrainSession{DrainSession: &fsmpb.DrainSession{Session: 9}}},
		{Kind: &fsmpb.Command_InitCluster{InitCluster: &fsmpb.InitCluster{Id: id[:]}}},
		{Kind: &fsmpb.Command_StartRedrive{StartRedrive: goldenRedrive(id)}},
		{Kind: &fsmpb.Command_StopRedrive{StopRedrive: &fsmpb.StopRedrive{Id: id[:], Namespace: "ns"}}},
		{Kind: &fsmpb.Command_DiscardJob{DiscardJob: &fsmpb.DiscardJob{Job: id[:], Reason: "r"}}},
		{Kind: &fsmpb.Command_TimeOutTask{TimeOutTask: &fsmpb.TimeOutTask{Session: 9, Fence: f.Proto(), Task: ref.Proto()}}},

		{Kind: &fsmpb.Command_SetQueue{SetQueue: &fsmpb.SetQueue{Namespace: "ns", Queue: "q", AgeingMs: proto.Int64(-1), Weights: map[string]uint32{"a": 2, "b": 3},
			Success: &fsmpb.Retention{AgeMs: 1, Count: 2, Bytes: 3}, Failure: &fsmpb.Retention{Count: 4}, Canceled: &fsmpb.Retention{Bytes: 5}, Budget: &fsmpb.Budget{Jobs: 6, Bytes: 7}}}},
		{Kind: &fsmpb.Command_SetLimit{SetLimit: &fsmpb.SetLimit{Limit: lim}}},
		{Kind: &fsmpb.Command_DeleteLimit{DeleteLimit: &fsmpb.DeleteLimit{Limit: lim}}},
		save(g, 3, "charge", 4, `{"a":1}`), logLines(g, "hello", "world"),
		{Kind: &fsmpb.Command_SetWebhook{SetWebhook: &fsmpb.SetWebhook{Name: sourceName("ns", "s"), Secrets: [][]byte{[]byte("secret")}, Rotate: true,
			Source:   &fsmpb.WebhookSource{Scheme: "github", ToleranceMs: 1, MaxBytes: 2, Events: []string{"push"}, Graph: []byte("{}"), Options: []byte("o"), RetainMs: 3},
			Endpoint: &fsmpb.WebhookEndpoint{Url: "u", Events: []string{"e"}, Workflows: []string{"w"}, Parallel: 4, TimeoutMs: 5}}}},
		changeHook(endpointName("ns", "e"), fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST),
		{Kind: &fsmpb.Command_ReceiveWebhook{ReceiveWebhook: &fsmpb.ReceiveWebhook{Namespace: "ns", Source: "s", Delivery: "d", Job: id[:], Input: blob, Event: "push"}}},
		{Kind: &fsmpb.Command_ReportDelivery{ReportDelivery: &fsmpb.ReportDelivery{Delivery: DeliveryRef{1, 2}.Proto(), Attempt: 3, Status: 503, Error: "e", RetryAfterMs: 4}}},
		{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: &fsmpb.ReplayDelivery{Namespace: "ns", Endpoint: "e", Delivery: DeliveryRef{1, 2}.Proto(), SinceMs: 3}}},
		{Kind: &fsmpb.Command_SetBudget{SetBudget: &fsmpb.SetBudget{Budget: &fsmpb.Budget{Jobs: 5, Bytes: 6}}}},
		pauseQ("q"), resumeQ("q"), drainQ("q"), undrainQ("q"), purgeQ("q"),
		{Kind: &fsmpb.Command_CreateBatch{CreateBatch: &fsmpb.CreateBatch{
			Batch: id[:], Namespace: "ns", Name: "n", ExpiresMs: 1, RetainMs: 2,
			OnSuccess: &fsmpb.BatchCallback{Graph: []byte("{}"), Data: []byte("1"), RetainMs: 3}, OnComplete: &fsmpb.BatchCallback{}, OnDeath: &fsmpb.BatchCallback{},
		}}},
		{Kind: &fsmpb.Command_CloseBatch{CloseBatch: &fsmpb.CloseBatch{Batch: id[:]}}},
		{Kind: &fsmpb.Command_ReopenBatch{ReopenBatch: &fsmpb.ReopenBatch{Batch: id[:]}}},
		{Kind: &fsmpb.Command_CancelBatch{CancelBatch: &fsmpb.CancelBatch{Batch: id[:], Reason: "r"}}},
		{Kind: &fsmpb.Command_PurgeBatch{PurgeBatch: &fsmpb.PurgeBatch{Batch: id[:]}}},
	}, goldenLater(id, g)...)
}

func goldenRedrive(id JobID) *fsmpb.StartRedrive {
	return &fsmpb.StartRedrive{Id: id[:], Namespace: "ns", Jobs: 3, PeriodMs: 1000, Discard: true, Reason: "r", Filter: &fsmpb.DeadFilter{
		Workflow: "w", Queue: "q", ErrorType: "e", Fingerprint: 4, SinceMs: 5, UntilMs: 6,
	}}
}

// TestGolden_Log pins the bytes of every command. They are in the logs of running clusters: a line may be
// added, never changed.
func TestGolden_Log(t *testing.T) {
	datadriven.RunTest(t, "testdata/log.golden", func(t *testing.T, d *datadriven.TestData) string {
		var b strings.Builder
		for _, c := range goldenCommands() {
			e, err := EncodeEntry(1234, []*fsmpb.Command{c})
			if err != nil {
				t.Fatal(err)
			}
			back, err := DecodeEntry(e)
			if err != nil || back.NowMs != 1234 || len(back.Commands) != 1 || !proto.Equal(back.Commands[0], c) {
				t.Fatalf("%v came back as %v, %v", c, back, err)
			}
			fmt.Fprintf(&b, "%T %x\n", c.Kind, e)
		}
		return b.String()
	})
}

// TestGolden_LogHasEveryField: of every kind of command, and of all that is in one, a job's options among it,
// each field is set in some golden command. A field that is new needs a command of its own: a line that is
// there never changes.
func TestGolden_LogHasEveryField(t *testing.T) {
	set := make(map[protoreflect.FullName]bool)
	var look func(protoreflect.Message)
	look = func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			set[f.FullName()] = true
			switch {
			case f.IsMap() || f.Kind() != protoreflect.MessageKind:
			case f.IsList():
				for i := range v.List().Len() {
					look(v.List().Get(i).Message())
				}
			default:
				look(v.Message())
			}
			return true
		})
	}
	for _, c := range goldenCommands() {
		look(c.ProtoReflect())
	}
	o := new(fsmpb.JobOptions)
	if err := proto.Unmarshal(goldenOptions(), o); err != nil {
		t.Fatal(err)
	}
	look(o.ProtoReflect())
	seen := make(map[protoreflect.FullName]bool)
	var need func(protoreflect.MessageDescriptor)
	need = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || m.IsMapEntry() {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if !set[f.FullName()] {
				t.Errorf("no golden command has %s: add one at the end", f.FullName())
			}
			if f.Kind() == protoreflect.MessageKind {
				need(f.Message())
			}
		}
	}
	need((&fsmpb.Command{}).ProtoReflect().Descriptor())
	need(o.ProtoReflect().Descriptor())
}

// goldenOptions are a job's options with every field set.
func goldenOptions() []byte {
	id := jobID("golden")
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&fsmpb.JobOptions{
		Partition: "p", Priority: 2, StartByMs: 3, StartWithinMs: 4, TimeoutMs: 5, Batch: id[:],
		Unique: &fsmpb.Unique{Key: "k", Derived: true, Mode: fsmpb.Unique_DEBOUNCE, Scope: fsmpb.Unique_UNTIL_START,
			OnConflict: fsmpb.Unique_REJECT, PeriodMs: 6, MaxMs: 7},
		Schedule: "s", TickMs: 8, ScheduleId: id[:], Headers: map[string]string{"a": "b", "c": "d"},
	})
	must(err)
	return raw
}

// goldenLater are commands with fields that came after the first line of their kind.
func goldenLater(id JobID, g Grant) []*fsmpb.Command {
	return []*fsmpb.Command{
		{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id[:], Namespace: "ns", Graph: []byte("{}"), Input: inline("1"), Options: goldenOptions()}}},
		{Kind: &fsmpb.Command_OpenSession{OpenSession: &fsmpb.OpenSession{
			Namespace: "ns", Worker: "w", Queues: []*fsmpb.QueueSlots{{Queue: "q", Slots: 3}}, TtlMs: 4, Nonce: id[:], Slots: 5, Strict: true,
		}}},
		rateLimited(g, 1000),
		{Kind: &fsmpb.Command_LogTask{LogTask: &fsmpb.LogTask{Session: 9, Tasks: []*fsmpb.TaskLines{{
			Fence: g.Fence.Proto(), Task: g.Task.Proto(), Dropped: 2, Lines: []*fsmpb.LogLine{{TimeMs: 1, Level: -4, Text: "x"}},
		}}}}},
		prefetch(9, "q", 64),
	}
}

// TestGolden_LogDecodes: what is pinned decodes, whatever the encoder does today.
func TestGolden_LogDecodes(t *testing.T) {
	datadriven.RunTest(t, "testdata/log.golden", func(t *testing.T, d *datadriven.TestData) string {
		for _, line := range strings.Split(strings.TrimSpace(d.Expected), "\n") {
			name, data, _ := strings.Cut(line, " ")
			raw, err := hex.DecodeString(data)
			if err != nil {
				t.Fatal(err)
			}
			e, err := DecodeEntry(raw)
			if err != nil || fmt.Sprintf("%T", e.Commands[0].Kind) != name {
				t.Fatalf("%s: %v %v", name, e, err)
			}
		}
		return d.Expected
	})
}

// goldenRecords is one of every record, with every field set.
func goldenRecords() []struct {
	name string
	enc  func() []byte
	dec  func([]byte) any
	want any
} {
	id := jobID("golden")
	f := Fence{Index: 300, Pos: 7}
	tk := &task{state: TaskStarted, attempts: 2, crashes: 1, session: 9, fence: f, seq: 77, part: 78, due: 88, cursor: []uint64{1, 300}, tries: 5, since: 99, saves: 3, savedBytes: 400}
	j := &job{
		id: id, namespace: "ns", graph: graphHash(id), state: JobFailure, createdMS: 1, notBefore: 2, finishedMS: 3, retainMS: 4, purgeMS: 5,
		key: "k", reason: "r", left: 6, failed: true, failedAt: TaskRef{Job: id, Step: 1, Shard: 2}, round: 7, blobs: 8, limitMS: 11, logged: true, bytes: 9, opts: noOptions,
		steps: []step{{task: task{state: TaskRetry, attempts: 1, due: 9}, waiting: 2}},
	}
	g := &group{total: 10, next: 3, limit: 10, cursor: []uint64{5}, ok: 2, dead: 1, live: 4, held: 3, retry: 1, crash: 2, queued: true, seq: 99, part: 78, discarded: 1}
	bl := &blobRef{id: blobID(id), size: 300000, sum: [32]byte{1, 2, 3}}
	by := run{number: 2, session: 9, worker: "w", began: 10, ended: 12}
	r := result{fence: f, dead: true, value: value{inline: []byte(`{"a":1}`)}, by: by}
	rb := result{fence: f, value: value{blob: bl}}
	up := &blob{size: 300000, chunks: 2, owner: id, expires: 5, sums: bytes.Repeat([]byte{1}, 64)}
	q := &queue{id: 1, namespace: "ns", name: "q", pending: 5, started: 6, paused: true, ageingMS: -1, weights: map[string]uint32{"a": 2, "b": 3}, vtime: 7, tag: 8, live: tally{7, 300}}
	pt := &partition{id: 78, queue: 1, name: "p", waiting: 2, leased: 3, tag: 4}
	lim := &limit{id: 3, namespace: "ns", scope: fsmpb.LimitScope_LIMIT_SCOPE_TASK, name: "t", per: true, kind: fsmpb.LimitKind_LIMIT_KIND_RATE, n: 5, burst: 2, period: 1000}
	ct := &control{draining: true, budget: fsmBudget{1, 2}, purgeSeq: 3, purgeCursor: []byte("key"), purgeDue: 4, purged: 5}
	for i := range endedStates {
		q.ended[i] = tally{uint64(i), 8}
		ct.keep[i] = keep{ageMS: 6, count: 7, bytes: uint64(i), due: 9, listed: true, cursor: id}
	}
	k := &kind{id: 1, namespace: "ns", name: "t", types: "x", live: 3}
	s := &session{id: 9, namespace: "ns", worker: "w", openedMS: 1, ttlMS: 2, draining: true, nonce: []byte("nonce"),
		kinds: []*fsmpb.TaskKind{{Name: "t", Types: "x"}}, labels: map[string]string{"a": "b", "c": "d"}}
	s.slots = []*slotGroup{{s: s, queue: 1, slots: 3, pass: 6}}
	s.shared, s.strict, s.pass = 4, true, 5
	ahead := *s
	ahead.slots = []*slotGroup{{s: &ahead, queue: 1, slots: 3, pass: 6, prefetch: 300}}
	l := &lease{ref: TaskRef{Job: id, Step: 1, Shard: 2}, queue: 4, kind: 5, part: 78, revoked: true, cause: "JOB_FAILED", grantedMS: 5, limitMS: 6, pulseMS: 7}
	st := state{index: 300, term: 2, nowMS: 5, nextSeq: 6, nextSession: 7, cluster: [16]byte(id)}
	for i, c := range counters(&st.Counters) {
		*c = uint64(i + 1)
	}
	at := &attempt{run: by, fence: f, why: EndError, err: &fsmpb.Error{Type: "T", Message: "m", Stack: "s"}}
	sv := saved{fence: f, seq: 4, name: "charge", data: []byte(`{"a":1}`)}
	jl := &jobLog{first: 3, next: 300, bytes: 5000, dropped: 7}
	tl := &taskLog{bytes: 800, chunks: []logPiece{{3, 300}, {200, 500}}}
	lc := &logChunk{ref: TaskRef{Step: 1, Shard: 300}, fence: f, attempt: 2, lines: []*fsmpb.LogLine{{TimeMs: 5, Level: -4, Text: "hello"}}}

	src := &hookSource{id: 1, namespace: "ns", name: "s", scheme: "github", secrets: [][]byte{{1}, {2}}, toleranceMS: 2, maxBytes: 3, events: []string{"push"},
		graph: graphHash(id), options: []byte("o"), retainMS: 4, paused: true, createdMS: 5, lastMS: 6, received: 7, duplicates: 8, receipts: 9}
	ep := &hookEndpoint{id: 1, namespace: "ns", name: "e", url: "u", secrets: [][]byte{{1}}, events: []string{"e"}, workflows: []string{"w"}, parallel: 2, timeoutMS: 3,
		paused: true, disabled: "d", createdMS: 4, notBefore: 5, pending: 6, ended: 7, head: 8, tail: 9, delivered: 10, failed: 11, dropped: 12,
		lastStatus: 13, lastError: "x", lastMS: 14}
	dl := &delivery{ref: DeliveryRef{1, 2}, event: "job.success", job: id, state: DeliveryFailed, attempts: 3, base: 1, createdMS: 4, startMS: 5, dueMS: 6,
		endedMS: 7, place: 8, status: 500, err: "x", body: []byte("{}")}
	rc := receipt{job: id, expires: 1, source: 2, namespace: "ns", name: "s"}
	dj := &deadJob{namespace: "ns", finishedMS: 3, id: id, workflow: "w", step: "s", queue: "q", errorType: "T", message: "m", fingerprint: 300}
	rd := &redrive{id: redriveID(id), start: goldenRedrive(id), state: RedriveRunning, startedMS: 1, endedMS: 2, dueMS: 3, cursorMS: 4, cursorJob: id, done: 5, refused: 6, refusal: "no"}
	rd.raw, _ = proto.MarshalOptions{Deterministic: true}.Marshal(rd.start)
	uk := &userKey{job: id, sum: [16]byte{1, 2}, until: 300}
	un := &uniqueKey{holder: id, next: id, started: true, until: 300, since: 200, merged: []JobID{id}}
	ba := &batch{id: id, namespace: "ns", name: "n", state: BatchClosed, createdMS: 1, expiresMS: 2, finishedMS: 3, retainMS: 4, due: 5,
		total: 6, live: 7, succeeded: 8, failed: 9, canceled: 10, ending: BatchExpired, reason: "r", cursor: id, gone: true,
		has: 7, owed: 5, made: [callbacks]JobID{id, {}, id}, error: "e", died: id}
	cbs := [callbacks]*fsmpb.BatchCallback{onComplete: {Graph: []byte("{}"), Data: []byte("1"), RetainMs: 5}}
	create := &fsmpb.CreateBatch{Namespace: "ns", Name: "n", ExpiresMs: 1, RetainMs: 2}
	type record = struct {
		name string
		enc  func() []byte
		dec  func([]byte) any
		want any
	}
	sch, ag := goldenSchedule()
	return []record{
		{"schedule", sch.encode, func(b []byte) any { return decodeSchedule("ns", "n", b) }, sch},
		{"agenda", ag.encode, func(b []byte) any { return decodeAgenda(scheduleID(id), b) }, ag},
		{"task", func() []byte { return encodeTask(tk) }, func(b []byte) any { return decodeTask(b) }, tk},
		{"job", j.encode, func(b []byte) any { return decodeJob(id, b) }, j},
		{"block", func() []byte { return encodeBlock(j.steps) }, func(b []byte) any { x := make([]step, 1); decodeBlock(b, x); return x }, j.steps},
		{"group", g.encode, func(b []byte) any { return decodeGroup(b) }, g},
		{"result", func() []byte { return encodeResult(r) }, func(b []byte) any { return decodeResult(b) }, r},
		{"result blob", func() []byte { return encodeResult(rb) }, func(b []byte) any { return decodeResult(b) }, rb},
		{"value", func() []byte { return encodeValue(value{blob: bl}) }, func(b []byte) any { return decodeValue(b) }, value{blob: bl}},
		{"blob", up.encode, func(b []byte) any { return decodeBlob(b) }, up},
		{"queue", q.encode, func(b []byte) any { return decodeQueue(1, b) }, q},
		{"limit", lim.encode, func(b []byte) any { return decodeLimit(3, b) }, lim},
		{"control", ct.encode, func(b []byte) any { return decodeControl(b) }, ct},
		{"partition", pt.encode, func(b []byte) any { return decodePartition(78, b) }, pt},
		{"kind", k.encode, func(b []byte) any { return decodeKind(1, b) }, k},
		{"session", s.encode, func(b []byte) any { return string(decodeSession(9, b).encode()) }, string(s.encode())},
		{"session (prefetch)", ahead.encode, func(b []byte) any { return string(decodeSession(9, b).encode()) }, string(ahead.encode())},
		{"lease", func() []byte { return encodeLease(l) }, func(b []byte) any { return decodeLease(b) }, l},
		{"state", st.encode, func(b []byte) any { return decodeState(b) }, st},
		{"attempt", at.encode, func(b []byte) any { return string(decodeAttempt(b).encode()) }, string(at.encode())},
		{"checkpoint", sv.encode, func(b []byte) any { return decodeSaved(b) }, sv},
		{"job log", jl.encode, func(b []byte) any { return decodeJobLog(b) }, jl},
		{"task log", tl.encode, func(b []byte) any { return decodeTaskLog(b) }, tl},
		{"log chunk", lc.encode, func(b []byte) any { return string(decodeLogChunk(b).encode()) }, string(lc.encode())},
		{"webhook source", src.encode, func(b []byte) any { return decodeSource("ns", "s", b) }, src},
		{"webhook endpoint", ep.encode, func(b []byte) any { return decodeEndpoint("ns", "e", b) }, ep},
		{"webhook receipt", rc.encode, func(b []byte) any { return decodeReceipt(b) }, rc},
		{"delivery", dl.encode, func(b []byte) any { return decodeDelivery(DeliveryRef{1, 2}, b) }, dl},
		{"dead job", dj.encode, func(b []byte) any { return decodeDead(dj.key(), b) }, dj},
		{"redrive", rd.encode, func(b []byte) any { return string(decodeRedrive(rd.id, b).encode()) }, string(rd.encode())},
		{"idempotency key", uk.encode, func(b []byte) any { return decodeUserKey(b) }, uk},
		{"unique key", un.encode, func(b []byte) any { return decodeUniqueKey(b) }, un},
		{"batch", ba.encode, func(b []byte) any { return decodeBatch(id, b) }, ba},
		{"batch callbacks", func() []byte { return encodeCallbacks(create, cbs) }, func(b []byte) any { return string(encodeCallbacks(create, decodeCallbacks(b))) }, string(encodeCallbacks(create, cbs))},
		{"batch member", func() []byte { return encodeMember(JobFailure) }, func(b []byte) any { return decodeMember(b) }, JobFailure},
		{"rate", func() []byte { return encodeRate(1<<40, 5) }, func(b []byte) any { tat, n := decodeRate(b); return []uint64{tat, n} }, []uint64{1 << 40, 5}},
		{"window", func() []byte { return encodeCount(300) }, func(b []byte) any { return decodeBegan(b) }, uint64(300)},
		{"pause", func() []byte { return encodePause(1_000_000) }, func(b []byte) any { return decodePause(b) }, int64(1_000_000)},
		{"graph references", func() []byte { return encodeCount(3) }, func(b []byte) any { return decodeCount("graph references", b) }, uint64(3)},
		{"fold node", func() []byte { return encodeCount(15) }, func(b []byte) any { return decodeCount("fold node", b) }, uint64(15)},
		{"conf", func() []byte { return encodeConf(3, []byte("c")) }, func(b []byte) any { i, c := decodeConf(b); return fmt.Sprint(i, string(c)) }, "3c"},
	}
}

// TestGolden_Records pins the bytes of every record and checks that each comes back whole.
func TestGolden_Records(t *testing.T) {
	datadriven.RunTest(t, "testdata/records.golden", func(t *testing.T, d *datadriven.TestData) string {
		var b strings.Builder
		for _, r := range goldenRecords() {
			fmt.Fprintf(&b, "%s %x\n", r.name, r.enc())
		}
		return b.String()
	})
	for _, r := range goldenRecords() {
		if diff := cmp.Diff(r.want, r.dec(r.enc()), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Errorf("%s came back otherwise (-want +got)\n%s", r.name, diff)
		}
		b := r.enc()
		b[0] = 99
		func() {
			defer func() {
				if _, ok := recover().(fault); !ok {
					t.Errorf("%s of an unknown version was read", r.name)
				}
			}()
			r.dec(b)
		}()
	}
}

// TestGolden_Snapshot: the snapshot of a fixed history is pinned, and an old one can be restored.
func TestGolden_Snapshot(t *testing.T) {
	h := newHarness(t)
	h.apply(&fsmpb.Command{Kind: &fsmpb.Command_InitCluster{InitCluster: &fsmpb.InitCluster{Id: bytes.Repeat([]byte{1}, 16)}}})
	r := h.apply(openWorker("w", 1, "t"), submit("a", chain(t, 2), `1`))
	h.apply(complete(r.Grants[0], `2`))
	if err := h.m.SetConfiguration(4, 1, []byte("conf")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := h.m.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	datadriven.RunTest(t, "testdata/snapshot.golden", func(t *testing.T, d *datadriven.TestData) string {
		if flag.Lookup("rewrite").Value.String() != "true" {
			raw, err := hex.DecodeString(strings.ReplaceAll(d.Expected, "\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			w, err := RestoreSnapshot(vfs.NewMem(), "x", bytes.NewReader(raw), Options{})
			if err != nil || w.Index != 4 || string(w.Configuration) != "conf" {
				t.Fatalf("the pinned snapshot: %+v, %v", w, err)
			}
		}
		var out strings.Builder
		for s := hex.EncodeToString(b.Bytes()); len(s) > 0; s = s[min(120, len(s)):] {
			out.WriteString(s[:min(120, len(s))] + "\n")
		}
		return out.String()
	})
}

// TestRestoreSnapshot_DamageIsRefused flips, cuts and extends a snapshot at every place.
func TestRestoreSnapshot_DamageIsRefused(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t"), submit("a", chain(t, 2), `1`))
	var buf bytes.Buffer
	if _, err := h.m.WriteSnapshot(&buf); err != nil {
		t.Fatal(err)
	}
	good := buf.Bytes()
	try := func(what string, b []byte) {
		t.Helper()
		fs := vfs.NewMem()
		if _, err := RestoreSnapshot(fs, "x", bytes.NewReader(b), Options{}); err == nil {
			t.Errorf("%s was accepted", what)
		}
		if _, err := fs.Stat("x"); err == nil {
			t.Errorf("%s left a directory", what)
		}
	}
	for i := 0; i < len(good); i += 7 {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		try(fmt.Sprintf("a flipped bit at %d of %d", i, len(good)), bad)
	}
	for _, n := range []int{0, 5, 8, 20, len(good) / 2, len(good) - 1} {
		try(fmt.Sprintf("a snapshot cut to %d bytes", n), good[:n])
	}
}
