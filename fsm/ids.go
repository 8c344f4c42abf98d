package fsm

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// JobID names a job: a ULID chosen by the submitter, so that submitting again under the same id is
// recognised and changes nothing. Its text form is the ULID's 26 characters.
type JobID [16]byte

// ParseJobID reads the text form of a job id.
func ParseJobID(s string) (JobID, error) {
	u, err := ulid.ParseStrict(s)
	if err != nil {
		return JobID{}, fmt.Errorf("fsm: %q is no job id: it has 26 letters and digits, as `fanfold job list` prints them", s)
	}
	return JobID(u), nil
}

// String returns the text form.
func (j JobID) String() string { return ulid.ULID(j).String() }

// IsZero reports whether j names no job.
func (j JobID) IsZero() bool { return j == JobID{} }

// Fence proves the right to one attempt: the log index of the grant and its position in that entry.
// Fences of one task only grow, so whoever stores the largest fence seen can refuse all older
// holders (Kleppmann's fencing token).
type Fence struct {
	Index uint64
	Pos   uint32
}

// Compare orders fences by age.
func (f Fence) Compare(g Fence) int {
	return cmp.Or(cmp.Compare(f.Index, g.Index), cmp.Compare(f.Pos, g.Pos))
}

// IsZero reports whether f is no fence.
func (f Fence) IsZero() bool { return f == Fence{} }

// String prints index.pos.
func (f Fence) String() string {
	return strconv.FormatUint(f.Index, 10) + "." + strconv.FormatUint(uint64(f.Pos), 10)
}

// Proto returns the message form.
func (f Fence) Proto() *fsmpb.Fence { return &fsmpb.Fence{Index: f.Index, Pos: f.Pos} }

// FenceOf is the fence of a message; no message is the fence of no lease.
func FenceOf(p *fsmpb.Fence) Fence { return Fence{Index: p.GetIndex(), Pos: p.GetPos()} }

// TaskRef names a task. Shard is 0 for a plain step, the item of a map step, and the node of a
// fold step (dag.Node.Shard).
type TaskRef struct {
	Job   JobID
	Step  uint32
	Shard uint64
}

// String prints job/step/shard.
func (r TaskRef) String() string { return fmt.Sprintf("%s/%d/%d", r.Job, r.Step, r.Shard) }

// Proto returns the message form.
func (r TaskRef) Proto() *fsmpb.TaskRef {
	return &fsmpb.TaskRef{Job: r.Job[:], Step: r.Step, Shard: r.Shard}
}

func taskRefOf(p *fsmpb.TaskRef) (TaskRef, bool) {
	job, ok := jobIDOf(p.GetJob())
	return TaskRef{Job: job, Step: p.GetStep(), Shard: p.GetShard()}, ok
}

func (r TaskRef) compare(s TaskRef) int {
	for i := 0; i < len(r.Job); i += 8 {
		if c := cmp.Compare(binary.BigEndian.Uint64(r.Job[i:]), binary.BigEndian.Uint64(s.Job[i:])); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(r.Step, s.Step), cmp.Compare(r.Shard, s.Shard))
}

func jobIDOf(b []byte) (JobID, bool) {
	var j JobID
	if len(b) != len(j) {
		return j, false
	}
	copy(j[:], b)
	return j, !j.IsZero()
}
