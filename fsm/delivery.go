package fsm

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// A delivery is an event on its way to an endpoint. It is written in the entry in which the event happened,
// so none is forgotten and none is made up; the leader sends what is due (cluster/egress.go) and reports
// each attempt. A crash between the two repeats the attempt: at least once, under one id.

const (
	// pendingMax bounds the deliveries of an endpoint that are not over. Above it new events are not
	// delivered, and counted as dropped: a job must not fail to end because a receiver is down.
	pendingMax = 100_000
	// endedMax is how many ended deliveries of an endpoint are kept, to be looked at and replayed.
	endedMax = 1000
	// giveUpMS is how long a delivery is tried: three days.
	giveUpMS = 3 * 24 * 3_600_000
	// retryAfterMaxMS bounds what a receiver may ask for.
	retryAfterMaxMS = 24 * 3_600_000
	// deliveryErrorMax bounds the text of a failed attempt.
	deliveryErrorMax = 1 << 10
)

// backoffMS are the waits after each failed attempt, those that Standard Webhooks recommends. The last one
// goes on until giveUpMS, when there is one more attempt.
var backoffMS = []int64{
	5_000, 5 * 60_000, 30 * 60_000, 2 * 3_600_000, 5 * 3_600_000, 10 * 3_600_000, 14 * 3_600_000, 20 * 3_600_000, 24 * 3_600_000,
}

// DeliveryState is where a delivery stands. The numbers are on disk: append only.
type DeliveryState uint8

const (
	DeliveryPending   DeliveryState = 1 // it will be sent, or sent again
	DeliveryDelivered DeliveryState = 2 // the receiver has answered 2xx
	DeliveryFailed    DeliveryState = 3 // given up
)

func (s DeliveryState) String() string {
	if s < 1 || s > 3 {
		return ""
	}
	return [...]string{"PENDING", "DELIVERED", "FAILED"}[s-1]
}

// ParseDeliveryState reads what String wrote.
func ParseDeliveryState(text string) (DeliveryState, bool) {
	for s := DeliveryPending; s <= DeliveryFailed; s++ {
		if s.String() == text {
			return s, true
		}
	}
	return 0, false
}

// DeliveryRef names a delivery: the endpoint's number and the delivery's.
type DeliveryRef struct{ Endpoint, Seq uint64 }

func deliveryRefOf(p *fsmpb.DeliveryRef) DeliveryRef { return DeliveryRef{p.GetEndpoint(), p.GetSeq()} }

// Proto is the reference as a command has it.
func (r DeliveryRef) Proto() *fsmpb.DeliveryRef {
	return &fsmpb.DeliveryRef{Endpoint: r.Endpoint, Seq: r.Seq}
}

// delivery is the record of one event for one endpoint.
type delivery struct {
	ref       DeliveryRef // in the key
	event     string
	job       JobID // zero for a test
	state     DeliveryState
	attempts  uint32 // that were reported
	base      uint32 // of these, before the last replay
	createdMS int64
	startMS   int64 // when it was made, or replayed: giving up counts from here
	dueMS     int64 // PENDING: of the next attempt
	endedMS   int64
	place     uint64 // ended: its number in the order of ends
	status    uint32
	err       string
	body      []byte
}

func (d *delivery) encode() []byte {
	e := newEnc(96 + len(d.body) + len(d.err))
	e.str(d.event)
	e.raw(d.job[:])
	e.byte(byte(d.state))
	e.uint(uint64(d.attempts))
	e.uint(uint64(d.base))
	e.int(d.createdMS)
	e.int(d.startMS)
	e.int(d.dueMS)
	e.int(d.endedMS)
	e.uint(d.place)
	e.uint(uint64(d.status))
	e.str(d.err)
	e.bytes(d.body)
	return e
}

func decodeDelivery(ref DeliveryRef, b []byte) *delivery {
	d := newDec("delivery", b)
	v := &delivery{ref: ref, event: d.str()}
	copy(v.job[:], d.raw(len(v.job)))
	v.state, v.attempts, v.base = DeliveryState(d.byte()), d.u32(), d.u32()
	v.createdMS, v.startMS, v.dueMS, v.endedMS = d.int(), d.int(), d.int(), d.int()
	v.place, v.status, v.err, v.body = d.uint(), d.u32(), d.str(), d.bytes()
	d.end()
	return v
}

func (t *tx) delivery(ref DeliveryRef) *delivery {
	if b := t.get(keyDelivery(ref)); b != nil {
		return decodeDelivery(ref, b)
	}
	return nil
}

// deliver writes a delivery of an event to an endpoint.
func (t *tx) deliver(p *hookEndpoint, event string, job JobID, body []byte) DeliveryRef {
	t.m.hooks.touch(p)
	if p.pending >= pendingMax {
		p.dropped++
		return DeliveryRef{}
	}
	d := &delivery{ref: DeliveryRef{p.id, t.nextSeq()}, event: event, job: job, createdMS: t.now, startMS: t.now, body: body}
	t.await(p, d, t.now)
	return d.ref
}

// await makes a delivery PENDING, due at a time. Precondition: it is not ended, or leaveEnded was called.
func (t *tx) await(p *hookEndpoint, d *delivery, due int64) {
	d.state, d.dueMS, d.endedMS, d.place = DeliveryPending, due, 0, 0
	t.set(keyDelivery(d.ref), d.encode())
	t.set(keyDue(d.ref, due), nil)
	p.pending++
	t.m.hooks.touch(p)
	t.res.Webhooks = true
}

// leavePending undoes await.
func (t *tx) leavePending(p *hookEndpoint, d *delivery) {
	t.del(keyDue(d.ref, d.dueMS))
	p.pending--
	d.dueMS = 0
	t.m.hooks.touch(p)
}

// conclude ends a delivery. The oldest that ended goes when too many are kept. Precondition: leavePending was called.
func (t *tx) conclude(p *hookEndpoint, d *delivery, s DeliveryState) {
	d.state, d.endedMS, d.place = s, t.now, p.tail
	p.tail++
	p.ended++
	t.set(keyDelivery(d.ref), d.encode())
	t.set(keyEnded(p.id, d.place), be.AppendUint64(nil, d.ref.Seq))
	for p.ended > endedMax {
		seq := t.oldestEnded(p)
		t.del(keyEnded(p.id, p.head))
		t.del(keyDelivery(DeliveryRef{p.id, seq}))
		p.head++
		p.ended--
	}
	t.m.hooks.touch(p)
}

// oldestEnded moves the head to the oldest delivery that has ended. Those that were replayed leave gaps in the
// order, and years of replays long ones: they are not walked through place by place. Precondition: there is one.
func (t *tx) oldestEnded(p *hookEndpoint) (seq uint64) {
	if b := t.get(keyEnded(p.id, p.head)); b != nil {
		return be.Uint64(b)
	}
	t.ascend(keyEnded(p.id, p.head), keyEnded(p.id, p.tail), 1, func(k, b []byte) {
		p.head, seq = parseEnded(k), be.Uint64(b)
	})
	return seq
}

// leaveEnded undoes conclude.
func (t *tx) leaveEnded(p *hookEndpoint, d *delivery) {
	t.del(keyEnded(p.id, d.place))
	p.ended--
	t.m.hooks.touch(p)
}

// hookJobEnded delivers the end of a job.
func (t *tx) hookJobEnded(j *job) {
	all := t.m.hooks.ordered[j.namespace]
	if len(all) == 0 {
		return
	}
	event := map[JobState]string{JobSuccess: EventJobSuccess, JobFailure: EventJobFailure, JobCanceled: EventJobCanceled}[j.state]
	var body []byte
	for _, p := range all {
		if !p.wants(event, j.plan.graph.Name) {
			continue
		}
		if body == nil {
			data := eventData{
				Job: j.id.String(), Namespace: j.namespace, Workflow: j.plan.graph.Name, State: j.state.String(), Key: j.key,
				Created: stamp(j.createdMS), Finished: stamp(j.finishedMS), CancelReason: j.cancelReason(),
			}
			if j.state == JobFailure && j.failed {
				data.Error = errorOf(j, j.failedAt, t.failure(j.failedAt))
			}
			body = eventBody(event, t.now, data)
		}
		t.deliver(p, event, j.id, body)
	}
}

// failure is the error of the task that ended its job.
func (t *tx) failure(at TaskRef) *fsmpb.Error {
	b := t.get(keyAttempt(at, stepErrorNumber))
	if tk := t.task(t.job(at.Job), at); b == nil && tk != nil {
		b = t.get(keyAttempt(at, tk.tries))
	}
	if b == nil {
		return nil
	}
	return decodeAttempt(b).err
}

// hookTaskDead delivers the death of a task: the job may go on without it.
func (t *tx) hookTaskDead(j *job, ref TaskRef, tk *task, e *fsmpb.Error) {
	var body []byte
	for _, p := range t.m.hooks.ordered[j.namespace] {
		if !p.wants(EventTaskDead, j.plan.graph.Name) {
			continue
		}
		if body == nil {
			body = eventBody(EventTaskDead, t.now, eventData{
				Job: j.id.String(), Namespace: j.namespace, Workflow: j.plan.graph.Name, State: TaskDead.String(), Key: j.key,
				Task: j.plan.steps[ref.Step].step.Task, Attempts: tk.attempts, Crashes: tk.crashes, Error: errorOf(j, ref, e),
			})
		}
		t.deliver(p, EventTaskDead, j.id, body)
	}
}

// eventData is what an event tells. It names the job and does not carry its result: who needs that reads it
// by the id, and a message stays small.
type eventData struct {
	Job          string     `json:"job,omitempty"`
	Namespace    string     `json:"namespace"`
	Workflow     string     `json:"workflow,omitempty"`
	State        string     `json:"state,omitempty"`
	Key          string     `json:"key,omitempty"`
	Task         string     `json:"task,omitempty"`
	Attempts     uint32     `json:"attempts,omitempty"`
	Crashes      uint32     `json:"crashes,omitempty"`
	Created      string     `json:"created,omitempty"`
	Finished     string     `json:"finished,omitempty"`
	CancelReason string     `json:"cancel_reason,omitempty"`
	Error        *eventFail `json:"error,omitempty"`
	Endpoint     string     `json:"endpoint,omitempty"`
}

type eventFail struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Step    string `json:"step"`
	Shard   uint64 `json:"shard,omitempty"`
}

func errorOf(j *job, at TaskRef, e *fsmpb.Error) *eventFail {
	step := j.plan.graph.Step(dag.StepID(at.Step)).Name
	return &eventFail{Type: e.GetType(), Message: e.GetMessage(), Step: step, Shard: at.Shard}
}

// eventBody writes what is posted: type, timestamp and data, as Standard Webhooks has it. encoding/json
// writes a struct's fields in their order, so every replica writes the same bytes.
func eventBody(event string, nowMS int64, data eventData) []byte {
	b, err := json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp string    `json:"timestamp"`
		Data      eventData `json:"data"`
	}{event, stamp(nowMS), data})
	must(err)
	return b
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// retryMS is when an attempt that failed at a time is repeated; 0 = never again. Precondition: the failed
// attempt is counted. Waits vary by a tenth, so that what failed together does not come back together.
func (d *delivery) retryMS(now, retryAfter int64) int64 {
	end := d.startMS + giveUpMS
	if now >= end {
		return 0
	}
	wait := backoffMS[min(int(d.attempts-d.base), len(backoffMS))-1]
	mix := (d.ref.Seq + uint64(d.attempts)) * 0x9e3779b97f4a7c15 >> 32
	wait += wait/10*int64(mix%2001)/1000 - wait/10
	return min(max(now+wait, now+min(retryAfter, retryAfterMaxMS)), end)
}

// DeliveryID is a delivery's name to the outside, the header webhook-id: the same in every attempt. It names
// the cluster too, because a receiver may listen to several.
func DeliveryID(cluster string, r DeliveryRef) string {
	return fmt.Sprintf("msg_%.8s_%x_%x", cluster+"00000000", r.Endpoint, r.Seq)
}

// ParseDeliveryID reads what DeliveryID wrote.
func ParseDeliveryID(id string) (r DeliveryRef, ok bool) {
	var cluster string
	n, err := fmt.Sscanf(id, "msg_%8s_%x_%x", &cluster, &r.Endpoint, &r.Seq)
	return r, err == nil && n == 3 && DeliveryID(cluster, r) == id
}
