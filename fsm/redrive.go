package fsm

import (
	"bytes"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// A redrive goes through the dead jobs of a namespace and retries or discards those that match, at a rate. It
// is a record with a cursor, and a timer takes its next jobs: it goes on when the leader dies, and can be
// stopped. A thousand jobs that died of one outage must not come back in one second and make the next.

// redriveID is 16 bytes chosen by who starts it, a ULID.
type redriveID [16]byte

// RedriveState is the state of a redrive. The numbers are on disk: append only.
type RedriveState uint8

const (
	RedriveRunning RedriveState = 1
	RedriveDone    RedriveState = 2
	RedriveStopped RedriveState = 3
)

var redriveStateNames = map[RedriveState]string{RedriveRunning: "RUNNING", RedriveDone: "DONE", RedriveStopped: "STOPPED"}

// String returns the name that users see.
func (s RedriveState) String() string { return redriveStateNames[s] }

// redrive is the record of a redrive.
type redrive struct {
	id        redriveID
	raw       []byte              // of start, as the log has it
	start     *fsmpb.StartRedrive // what was asked for, defaults filled in
	state     RedriveState
	startedMS int64
	endedMS   int64
	dueMS     int64 // RUNNING: of the timer
	// cursor is the last entry of the dead set that was looked at.
	cursorMS  int64
	cursorJob JobID
	done      uint64 // jobs retried, or discarded
	refused   uint64
	refusal   string // the last one
}

const (
	// redrivesRunning bounds the redrives that run at once in the cluster.
	redrivesRunning = 20
	// redrivesKept bounds those that are kept after their end, for people; the oldest go first.
	redrivesKept = 100
	// redriveLook bounds the entries of the dead set that one turn looks at.
	redriveLook = 1000
	// redriveSteps bounds the steps of the jobs that one turn takes; the job that passes it is the last.
	redriveSteps = 20_000
	// redriveTurnMS is the least time between two turns.
	redriveTurnMS = 100
	// redriveJobsMax bounds the jobs of one period, and so of one turn.
	redriveJobsMax = 1000
)

func (r *redrive) encode() []byte {
	e := newEnc(128 + len(r.raw) + len(r.refusal))
	e.bytes(r.raw)
	e.byte(byte(r.state))
	e.int(r.startedMS)
	e.int(r.endedMS)
	e.int(r.dueMS)
	e.int(r.cursorMS)
	e.raw(r.cursorJob[:])
	e.uint(r.done)
	e.uint(r.refused)
	e.str(r.refusal)
	return e
}

func decodeRedrive(id redriveID, b []byte) *redrive {
	d := newDec("redrive", b)
	r := &redrive{id: id, raw: d.bytes(), start: new(fsmpb.StartRedrive)}
	d.bad = d.bad || proto.Unmarshal(r.raw, r.start) != nil
	r.state = RedriveState(d.byte())
	r.startedMS, r.endedMS, r.dueMS, r.cursorMS = d.int(), d.int(), d.int(), d.int()
	copy(r.cursorJob[:], d.raw(16))
	r.done, r.refused, r.refusal = d.uint(), d.uint(), d.str()
	d.end()
	return r
}

// turn is how many jobs a turn takes, and how long it is until the next one, in milliseconds.
func (r *redrive) turn() (jobs int, waitMS int64) {
	n := int64(r.start.Jobs)
	k := max(1, n*redriveTurnMS/r.start.PeriodMs)
	return int(k), (k*r.start.PeriodMs + n - 1) / n
}

// startRedrive begins to retry (or discard) dead jobs. Proposed for Client.Redrive.
//
// Refusals: INVALID, CONFLICT (the id is another redrive's), TOO_LARGE (20 run already).
// Again: the same id answers Existing and changes nothing.
func startRedrive(t *tx, c *fsmpb.StartRedrive) Answer {
	id, r := checkRedrive(c)
	if r != nil {
		return Answer{Refusal: r}
	}
	c = proto.CloneOf(c)
	if c.Jobs == 0 {
		c.Jobs, c.PeriodMs = 100, 1000
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	must(err)
	if b := t.get(keyRedrive(id)); b != nil {
		if old := decodeRedrive(id, b); !bytes.Equal(old.raw, raw) {
			return no(CodeConflict, "redrive %s exists and does something else: choose a new id", JobID(id))
		}
		return Answer{Job: JobID(id), Existing: true}
	}
	if r := t.roomForRedrive(); r != nil {
		return Answer{Refusal: r}
	}
	d := &redrive{id: id, raw: raw, start: c, state: RedriveRunning, startedMS: t.now}
	t.fireAgain(d, t.now)
	return Answer{Job: JobID(id)}
}

func checkRedrive(c *fsmpb.StartRedrive) (redriveID, *Refusal) {
	id, ok := jobIDOf(c.Id)
	switch {
	case !ok:
		return redriveID{}, refuse(CodeInvalid, "a redrive's id has 16 bytes that are not all zero (a ULID)")
	case !validName(c.Namespace):
		return redriveID{}, refuse(CodeInvalid, "the namespace is 1 to 255 bytes without control characters")
	case (c.Jobs == 0) != (c.PeriodMs == 0) || c.Jobs > redriveJobsMax || c.PeriodMs < 0 || c.PeriodMs > dag.MaxDurationMS || c.PeriodMs > 0 && c.PeriodMs < redriveTurnMS:
		return redriveID{}, refuse(CodeInvalid, "the rate is 1 to %d jobs in a period of %d ms or more, for instance 100 in 1000", redriveJobsMax, redriveTurnMS)
	case c.Discard && c.Reason == "" || len(c.Reason) > reasonMax:
		return redriveID{}, refuse(CodeInvalid, "a discard needs a reason, and a reason has at most %d bytes", reasonMax)
	}
	for _, s := range []string{c.GetFilter().GetWorkflow(), c.GetFilter().GetQueue(), c.GetFilter().GetErrorType()} {
		if len(s) > 255 {
			return redriveID{}, refuse(CodeInvalid, "a name in the filter has more than 255 bytes")
		}
	}
	return redriveID(id), nil
}

// roomForRedrive removes the oldest redrives that have ended when there are many, and refuses one more when
// too many run.
func (t *tx) roomForRedrive() *Refusal {
	running := 0
	var ended [][]byte
	t.scan([]byte{tagRedrive}, func(k, b []byte) bool { // at most redrivesKept and redrivesRunning
		if decodeRedrive(redriveID(k[1:]), b).state == RedriveRunning {
			running++
		} else {
			ended = append(ended, k)
		}
		return true
	})
	if running >= redrivesRunning {
		return refuse(CodeTooLarge, "%d redrives run already: stop one, or wait for its end", running)
	}
	for len(ended) >= redrivesKept {
		t.del(ended[0])
		ended = ended[1:]
	}
	return nil
}

// stopRedrive ends a redrive where it is. Proposed for Client.StopRedrive.
//
// Refusals: NOT_FOUND.
// Again, or after its end: answers Existing and changes nothing.
func stopRedrive(t *tx, c *fsmpb.StopRedrive) Answer {
	id, ok := jobIDOf(c.Id)
	if !ok {
		return no(CodeInvalid, "a redrive's id has 16 bytes that are not all zero (a ULID)")
	}
	b := t.get(keyRedrive(redriveID(id)))
	if b == nil {
		return no(CodeNotFound, "there is no redrive %s: it was never started, or was forgotten after %d others", id, redrivesKept)
	}
	d := decodeRedrive(redriveID(id), b)
	if d.start.Namespace != c.Namespace {
		return no(CodeNotFound, "there is no redrive %s in namespace %s", id, c.Namespace)
	}
	if d.state != RedriveRunning {
		return Answer{Job: id, Existing: true}
	}
	t.clearTimer(d.dueMS, dutyRedrive, TaskRef{Job: id})
	t.endRedrive(d, RedriveStopped)
	return Answer{Job: id}
}

func (t *tx) endRedrive(d *redrive, s RedriveState) {
	d.state, d.endedMS, d.dueMS = s, t.now, 0
	t.set(keyRedrive(d.id), d.encode())
}

func (t *tx) fireAgain(d *redrive, due int64) {
	d.dueMS = due
	t.setTimer(due, dutyRedrive, TaskRef{Job: JobID(d.id)})
	t.set(keyRedrive(d.id), d.encode())
}

// fireRedrive takes a redrive's next jobs. It looks at a bounded number of entries; when few of them match, it
// goes on at once.
func (t *tx) fireRedrive(id redriveID) {
	d := decodeRedrive(id, t.mustGet(keyRedrive(id)))
	jobs, wait := d.turn()
	dead, looked := t.nextDead(d, jobs)
	steps, cut := 0, false
	for n, e := range dead {
		if cut = steps >= redriveSteps; cut {
			d.cursorMS, d.cursorJob = dead[n-1].finishedMS, dead[n-1].id
			break
		}
		j := t.job(e.id)
		steps += len(j.steps)
		var a Answer
		if d.start.Discard {
			t.discard(j)
		} else {
			a = retryJob(t, &fsmpb.RetryJob{Job: e.id[:]})
		}
		if a.Refusal != nil {
			d.refused++
			d.refusal = truncate(a.Refusal.Message, 255)
			continue
		}
		d.done++
	}
	switch {
	case len(dead) == jobs || cut:
		t.fireAgain(d, t.now+wait)
	case looked == redriveLook:
		t.fireAgain(d, t.now+1)
	default:
		t.endRedrive(d, RedriveDone)
	}
}

// nextDead moves the cursor on to the next jobs that match, at most n. Jobs that died after the redrive's
// start are not meant: one that dies again at once must not be retried for ever.
func (t *tx) nextDead(d *redrive, n int) (dead []*deadJob, looked int) {
	low := append(keyDead(d.start.Namespace, max(d.cursorMS, d.start.Filter.GetSinceMs()), d.cursorJob), 0)
	high := keyDead(d.start.Namespace, d.startedMS+1, JobID{})
	t.ascend(low, high, redriveLook, func(k, v []byte) {
		if len(dead) == n {
			return
		}
		looked++
		e := decodeDead(k, v)
		d.cursorMS, d.cursorJob = e.finishedMS, e.id
		if e.matches(d.start.Filter) {
			dead = append(dead, e)
		}
	})
	return dead, looked
}

// RedriveView is a redrive as users see it.
type RedriveView struct {
	ID        JobID
	Start     *fsmpb.StartRedrive
	State     RedriveState
	StartedMS int64
	EndedMS   int64
	Done      uint64
	Refused   uint64
	Refusal   string // the last one
}

// Redrives lists the redrives of a namespace, the oldest first: those that run, and the last hundred of all
// namespaces that have ended.
func (v *View) Redrives(namespace string) (all []RedriveView, err error) {
	defer catch(&err)
	v.disk.scan([]byte{tagRedrive}, []byte{tagRedrive + 1}, func(k, b []byte) bool {
		if d := decodeRedrive(redriveID(k[1:]), bytes.Clone(b)); d.start.Namespace == namespace {
			all = append(all, RedriveView{
				ID: JobID(d.id), Start: d.start, State: d.state, StartedMS: d.startedMS, EndedMS: d.endedMS,
				Done: d.done, Refused: d.refused, Refusal: d.refusal,
			})
		}
		return true
	})
	return all, nil
}
