package fsm

import (
	"errors"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// ErrNotFound is returned by a View for an id that the state does not have.
var ErrNotFound = errors.New("fsm: not found")

// JobView is a job as users see it.
type JobView struct {
	ID           JobID
	Namespace    string
	Workflow     string
	State        JobState
	Key          string
	CreatedMS    int64
	FinishedMS   int64 // 0 while it runs
	CancelReason string
	Error        *TaskError // FAILURE: what ended it
	Schedule     string     // that made it
	TickMS       int64      // of Schedule, unix ms
	Steps        []StepView
	Unique       *UniqueView // nil: none
	Batch        BatchID     // zero: none
	Headers      map[string]string
}

// TaskError is a failure with its place.
type TaskError struct {
	Step  string
	Shard uint64
	Err   *fsmpb.Error
}

// StepView is a step of a job as users see it. Counts are of tasks: a plain step has one.
type StepView struct {
	Name, Kind, Task string
	State            TaskState
	Attempts         uint32 // failed or finished attempts
	Crashes          uint32
	Total            uint64
	Succeeded        uint64
	Dead             uint64
	Discarded        uint64 // items that said that they are not wanted any more
	Started          uint64
	Retrying         uint64
	Pending          uint64
	Worker           string // plain step, STARTED
	Session          uint64 // plain step, STARTED
	Fence            Fence  // plain step: of the last attempt
	DueMS            int64  // plain step: RETRY or SCHEDULED, or PENDING with a limit of its wait
	Error            *TaskError
	After            []string
}

// TaskView is one task as users see it.
type TaskView struct {
	Step     string
	Shard    uint64
	Fence    Fence // of the last attempt
	State    TaskState
	Attempts uint32
	Crashes  uint32
	Session  uint64
	Worker   string
	DueMS    int64
	Error    *TaskError
	Saved    uint64 // bytes of its checkpoints
}

// SessionView is a worker's session as users see it.
type SessionView struct {
	ID        uint64
	Namespace string
	Worker    string
	Queues    []QueueSlots
	Kinds     []*fsmpb.TaskKind
	Labels    map[string]string
	OpenedMS  int64
	TTLMS     int64
	Draining  bool
	Shared    uint32 // slots that all its queues share; those of Queues are weights then. 0 = each queue has its own
	Strict    bool   // Shared: the queue of the greatest weight goes first, always
}

// Used is how many slots are taken, in all queues.
func (s *SessionView) Used() (used uint32) {
	for _, q := range s.Queues {
		used += q.Used
	}
	return used
}

// QueueSlots are a session's slots in one queue.
type QueueSlots struct {
	Queue    string
	Slots    uint32
	Prefetch uint32 // leases that it may have beyond its slots
	Used     uint32
}

// QueueView is a queue as users see it.
type QueueView struct {
	Namespace, Name string
	Pending         uint64 // waiting tasks; the waiting shards of a map are counted too
	Started         uint64
	Slots, Free     uint64            // of live sessions
	Paused          bool              // it grants nothing
	AgeingMS        int64             // of waiting that are worth one level of priority; -1 = off
	Weights         map[string]uint32 // of partitions; absent = 1
	Jobs            QueueJobs
}

// JobFilter selects jobs; empty fields select all.
type JobFilter struct {
	Namespace string
	Workflow  string
	State     JobState
}
