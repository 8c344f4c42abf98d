package fsm

// JobState is the state of a job. The numbers are on disk: append only.
type JobState uint8

const (
	JobRunning  JobState = 1
	JobPaused   JobState = 2
	JobSuccess  JobState = 3
	JobFailure  JobState = 4
	JobCanceled JobState = 5
)

var jobStateNames = map[JobState]string{
	JobRunning: "RUNNING", JobPaused: "PAUSED", JobSuccess: "SUCCESS", JobFailure: "FAILURE", JobCanceled: "CANCELED",
}

// String returns the name that users see.
func (s JobState) String() string { return jobStateNames[s] }

// Ended reports whether the state is terminal.
func (s JobState) Ended() bool { return s >= JobSuccess }

// ParseJobState reads a name as String prints it.
func ParseJobState(name string) (JobState, bool) {
	for s := JobRunning; s <= JobCanceled; s++ {
		if jobStateNames[s] == name {
			return s, true
		}
	}
	return 0, false
}

// TaskState is the state of a task, and of a step. The numbers are on disk: append only.
type TaskState uint8

const (
	TaskBlocked   TaskState = 1 // waits for parents
	TaskScheduled TaskState = 2 // not yet due
	TaskPending   TaskState = 3 // may be leased now
	TaskStarted   TaskState = 4 // leased to a session
	TaskRetry     TaskState = 5 // an attempt failed, waits for its backoff
	TaskSuccess   TaskState = 6
	TaskDead      TaskState = 7 // attempts or crash limit used up
	TaskCanceled  TaskState = 8
	TaskSkipped   TaskState = 9  // its job failed before it could run
	TaskExpired   TaskState = 10 // nobody started it in time
)

var taskStateNames = map[TaskState]string{
	TaskBlocked: "BLOCKED", TaskScheduled: "SCHEDULED", TaskPending: "PENDING", TaskStarted: "STARTED", TaskRetry: "RETRY",
	TaskSuccess: "SUCCESS", TaskDead: "DEAD", TaskCanceled: "CANCELED", TaskSkipped: "SKIPPED", TaskExpired: "EXPIRED",
}

// String returns the name that users see.
func (s TaskState) String() string { return taskStateNames[s] }

// Ended reports whether the state is terminal.
func (s TaskState) Ended() bool { return s >= TaskSuccess }

// Move is one legal move of a task.
type Move struct {
	From TaskState
	On   string // the command or event that causes it
	To   TaskState
}

// Moves is the whole life of a task as data. setState refuses what is not here by a panic (a bug),
// and docs/state-machine.md draws the same table; a test compares the two. From 0 means "made".
var Moves = []Move{
	{0, "SubmitJob", TaskBlocked},
	{0, "Expand", TaskPending},
	{TaskBlocked, "ParentsDone", TaskPending},
	{TaskBlocked, "NotDue", TaskScheduled},
	{TaskScheduled, "Due", TaskPending},
	{TaskPending, "Grant", TaskStarted},
	{TaskStarted, "CompleteTask", TaskSuccess},
	{TaskStarted, "FailTask", TaskRetry},
	{TaskStarted, "FailTask", TaskDead},
	{TaskStarted, "ReleaseTask", TaskPending},
	{TaskStarted, "TimeLimit", TaskRetry},
	{TaskStarted, "TimeLimit", TaskDead},
	{TaskStarted, "WorkerLost", TaskPending},
	{TaskStarted, "WorkerLost", TaskDead},
	{TaskRetry, "Due", TaskPending},
	{TaskPending, "BadInput", TaskDead},
	{TaskBlocked, "BadInput", TaskDead},
	{TaskScheduled, "BadInput", TaskDead},
	{TaskPending, "CompleteTask", TaskSuccess},
	{TaskBlocked, "CancelJob", TaskCanceled},
	{TaskScheduled, "CancelJob", TaskCanceled},
	{TaskPending, "CancelJob", TaskCanceled},
	{TaskStarted, "CancelJob", TaskCanceled},
	{TaskRetry, "CancelJob", TaskCanceled},
	{TaskStarted, "Discard", TaskCanceled},
	{TaskBlocked, "JobEnded", TaskSkipped},
	{TaskScheduled, "JobEnded", TaskSkipped},
	{TaskPending, "Expire", TaskExpired},
	{TaskDead, "RetryJob", TaskBlocked},
	{TaskCanceled, "RetryJob", TaskBlocked},
	{TaskSkipped, "RetryJob", TaskBlocked},
	{TaskExpired, "RetryJob", TaskBlocked},
	{TaskDead, "RetryJob", TaskPending},
	{TaskCanceled, "RetryJob", TaskPending},
	{TaskExpired, "RetryJob", TaskPending},
	{TaskBlocked, "EmptyList", TaskSuccess},
	{TaskScheduled, "EmptyList", TaskSuccess},
}

// ParseTaskState reads a name as String prints it.
func ParseTaskState(name string) (TaskState, bool) {
	for s := TaskBlocked; s <= TaskExpired; s++ {
		if taskStateNames[s] == name {
			return s, true
		}
	}
	return 0, false
}

func legalMove(from, to TaskState) bool {
	for _, m := range Moves {
		if m.From == from && m.To == to {
			return true
		}
	}
	return false
}
