package fsm

import (
	"crypto/sha256"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fanfold/fanfold/fsm/cron"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// A schedule makes jobs by the clock. It is two records: what the user has said, which ticks only read, and
// how far it is, which each tick writes. The rules of its time zone are part of the first: replicas with
// different tz databases, and a replay in ten years, find the same ticks.

// schedulesMax bounds the schedules of a cluster. A variable for tests.
var schedulesMax uint64 = 1_000_000

const (
	scheduleGraphMax = 1 << 20 // bytes
	zoneDataMax      = 64 << 10
	everyMinMS       = 1000
	jitterMaxMS      = 7 * 24 * 3_600_000
	missedDefault    = 100
	missedLimit      = 1000
	lateSkipMS       = 60_000 // late_ms of SKIP, when none is given
	recentTicks      = 10
	noteMax          = 1024
	timeMaxMS        = 253_402_300_799_000 // the end of the year 9999
)

// scheduleID names a schedule from when it was made until it is deleted; a later one of the same name has
// another.
type scheduleID [16]byte

func (id scheduleID) ref() TaskRef { return TaskRef{Job: JobID(id)} }

// schedule is what the user has said.
type schedule struct {
	id              scheduleID
	namespace, name string
	createdMS       int64
	updatedMS       int64
	cron            string
	everyMS         int64
	zone            string
	zoneData        []byte
	graph           []byte
	workflow        string // the graph's name
	input           []byte
	retainMS        int64
	options         []byte
	missed          fsmpb.Missed
	missedMax       uint32
	overlap         fsmpb.Overlap
	startMS, endMS  int64
	jitterMS        int64
	lateMS          int64

	// What follows is derived.

	ticks ticker
	loc   *time.Location
}

// ticker is a cron.Spec or a cron.Every.
type ticker interface {
	Next(after time.Time) time.Time
	Prev(before time.Time) time.Time
}

// agenda is how far a schedule is.
//
// Invariant: a timer dutyTick at due exists while due is not 0, and one dutyRelease at release likewise;
// running is the number of keyRunning.
type agenda struct {
	id              scheduleID
	namespace, name string
	paused          bool
	note            string
	decided         int64 // the newest tick that was decided on; 0 = none yet
	last            int64 // the same, or a later time, after which the ticks began anew
	next            int64 // the tick after it; 0 = none, or paused
	due             int64
	until           int64 // ticks up to it are being caught up with, one after another
	waiting         int64 // QUEUE_ONE: the tick that waits for the running jobs
	release         int64
	running         uint64
	fired, skipped  uint64
	missed, refused uint64
	recent          []tick // newest first

	dirty, gone bool
}

// tick is one that was decided on.
type tick struct {
	tick, at int64
	outcome  Outcome
	job      JobID
	reason   string
}

// Outcome says what became of a tick. The numbers are on disk: append only.
type Outcome uint8

const (
	TickFired      Outcome = 1 // it made its job
	TickSkipped    Outcome = 2 // a job of the schedule was running
	TickWaiting    Outcome = 3 // it waits for the end of that job
	TickMissed     Outcome = 4 // it could not be fired in time
	TickRefused    Outcome = 5 // its job was refused
	TickExisting   Outcome = 6 // its job was there already
	TickTriggered  Outcome = 7 // a person asked for it
	TickBackfilled Outcome = 8 // a person asked for it, with others of the past
)

var outcomes = [...]string{"", "FIRED", "SKIPPED", "WAITING", "MISSED", "REFUSED", "EXISTING", "TRIGGERED", "BACKFILLED"}

// String is the name that users see.
func (o Outcome) String() string {
	if int(o) < len(outcomes) {
		return outcomes[o]
	}
	return ""
}

// tickJob is the id of a tick's job: the same for the same tick, whoever makes it and when. It sorts by the
// time of the tick, as ids drawn by submitters do.
func tickJob(namespace, name string, tickMS int64) JobID {
	h := sha256.New()
	h.Write([]byte("fanfold tick\x00" + namespace + "\x00" + name + "\x00"))
	h.Write(be.AppendUint64(nil, uint64(tickMS)))
	var id JobID
	be.PutUint64(id[:], uint64(tickMS)<<16)
	copy(id[6:], h.Sum(nil))
	return id
}

// after is the first tick after a time, 0 when there is none. All in unix milliseconds.
func (s *schedule) after(ms int64) int64 {
	ms = max(ms, s.startMS-1, 0)
	next := s.ticks.Next(time.UnixMilli(ms).In(s.loc))
	if at := next.UnixMilli(); !next.IsZero() && (s.endMS == 0 || at < s.endMS) && at <= timeMaxMS {
		return at
	}
	return 0
}

// before is the last tick before a time, 0 when there is none.
func (s *schedule) before(ms int64) int64 {
	if s.endMS > 0 {
		ms = min(ms, s.endMS)
	}
	prev := s.ticks.Prev(time.UnixMilli(ms).In(s.loc))
	if at := prev.UnixMilli(); !prev.IsZero() && at >= s.startMS && at > 0 {
		return at
	}
	return 0
}

// dueAt is when a tick is fired: with its jitter, which is a hash of the tick, and less than the time to
// the tick after it, so that ticks stay in order.
func (s *schedule) dueAt(tickMS int64) int64 {
	if s.jitterMS == 0 {
		return tickMS
	}
	most := s.jitterMS
	if next := s.after(tickMS); next > 0 {
		most = min(most, next-tickMS-1)
	}
	id := tickJob(s.namespace, s.name, tickMS)
	return tickMS + int64(be.Uint64(id[8:])%uint64(most+1))
}

// newest is the last tick that is due by now, 0 when there is none.
func (s *schedule) newest(now int64) int64 {
	at := s.before(now + 1)
	for at > 0 && s.dueAt(at) > now {
		at = s.before(at)
	}
	return at
}

// late is the bound of a tick's lateness; 0 = none.
func (s *schedule) late() int64 {
	if s.lateMS == 0 && s.missed == fsmpb.Missed_MISSED_SKIP {
		return lateSkipMS
	}
	return s.lateMS
}

// jobOptions are those that the user has given, and the schedule's own. Joined encodings of a protobuf
// message are the message with the fields of both; written by hand, they are the same bytes for ever.
func (s *schedule) jobOptions(tickMS int64) []byte {
	b := slices.Clip(s.options)
	b = protowire.AppendTag(b, 30, protowire.BytesType)
	b = protowire.AppendString(b, s.name)
	b = protowire.AppendTag(b, 31, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(tickMS))
	b = protowire.AppendTag(b, 32, protowire.BytesType)
	return protowire.AppendBytes(b, s.id[:])
}

// derive computes the fields that are not stored. What is stored has passed it before.
func (s *schedule) derive() (err error) {
	s.loc = time.UTC
	if len(s.zoneData) > 0 {
		if s.loc, err = time.LoadLocationFromTZData(s.zone, s.zoneData); err != nil {
			return err
		}
	}
	if s.cron == "" {
		anchor := s.startMS
		if anchor == 0 {
			anchor = s.createdMS
		}
		s.ticks = cron.Every{Anchor: time.UnixMilli(anchor).UTC(), Interval: time.Duration(s.everyMS) * time.Millisecond}
		return nil
	}
	s.ticks, err = cron.Parse(s.cron, s.namespace+"/"+s.name)
	return err
}
