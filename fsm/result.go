package fsm

// Result is what applying one log entry did: an answer to each command, and what the engine has to
// pass on. It is the same on every replica.
type Result struct {
	Index   uint64
	Answers []Answer // one for each command, in order
	// Grants are the leases that this entry gave, in the order of their fences.
	Grants []Grant
	// Revokes tell workers that an attempt is pointless now. The slot stays taken until the worker
	// reports or releases the attempt, or its session ends.
	Revokes []Revoke
	// Finished are the jobs that reached a terminal state.
	Finished []Finished
	// Touched are the jobs whose status changed, Finished included.
	Touched []JobID
	// ClosedSessions have ended.
	ClosedSessions []uint64
	// NextDueMS is when the earliest timer is due, in unix milliseconds; 0 = there is none.
	NextDueMS int64
	// Webhooks says that a delivery has become due, or may be sent again.
	Webhooks bool
	// More says that work within reach was left over by the bound per entry: propose a tick at once.
	More bool
}

// Answer is what one command returned. Which fields are set depends on the command.
type Answer struct {
	// Batch is the state of a batch that was created or changed, afterwards; its id is Job.
	Batch BatchState

	Refusal   *Refusal // nil: accepted
	Job       JobID    // SubmitJob, TriggerSchedule: the job (the older one when Existing)
	Existing  bool     // SubmitJob, SetSchedule, TriggerSchedule: it was there before; StopRedrive: it had ended before
	Duplicate bool     // CompleteTask: this very result had been accepted before
	State     JobState // SubmitJob, CancelJob, RetryJob, CompleteTask: the job's state afterwards
	Session   uint64   // OpenSession

	Created  bool        // SetWebhook: there was none of this name
	Delivery DeliveryRef // ChangeWebhook (a test), ReplayDelivery (one)
	Count    uint32      // ReplayDelivery: how many
	Made     uint64      // BackfillSchedule: jobs made
	Present  uint64      // BackfillSchedule: ticks whose job was there before
	NextMS   int64       // BackfillSchedule: where to go on, unix ms; 0 = done
}

// Code names a refusal. The codes are part of the API: append only.
type Code string

const (
	CodeExists Code = "EXISTS" // another job has the unique key

	CodeNotFound     Code = "NOT_FOUND"
	CodeInvalid      Code = "INVALID"
	CodeConflict     Code = "CONFLICT"
	CodeTooLarge     Code = "TOO_LARGE"
	CodeTypeMismatch Code = "TYPE_MISMATCH"
	CodeStale        Code = "STALE"     // the attempt's lease is over
	CodeNotEnded     Code = "NOT_ENDED" // the job is still running
	CodeCanceled     Code = "CANCELED"  // the job had ended; the lease is over now
	CodeOverloaded   Code = "OVERLOADED"

	CodeWebhookPaused Code = "WEBHOOK_PAUSED" // the source takes no messages at the moment
	CodeQueueDraining Code = "QUEUE_DRAINING" // the queue takes no new jobs
	CodeOverBudget    Code = "OVER_BUDGET"    // the queue or the cluster holds as many jobs or bytes as it may
)

// Refusal is a deterministic "no": replicated truth, the same on every node. Nothing was changed.
type Refusal struct {
	Code    Code
	Message string // what is wrong and what to do next
	// RetryAfterMS is when trying again makes sense, in milliseconds; 0: not by itself.
	RetryAfterMS int64
}

func (r *Refusal) Error() string { return "fsm: " + r.Message }

// Grant is a lease that was given: the right of a session to run one attempt of a task.
type Grant struct {
	Session   uint64
	Fence     Fence
	Task      TaskRef
	Kind      string // name of the task
	Step      string // name of the step
	Workflow  string
	Queue     string
	Attempt   uint32 // from 1
	Crashes   uint32
	TimeoutMS int64 // 0 = no bound
	// HeartbeatMS is how long the function may go without a sign of life; 0 = no bound.
	HeartbeatMS int64
	Saved       bool              // an earlier attempt has saved something
	Headers     map[string]string // of the job; read only
	Schedule    string
	TickMS      int64 // the tick of Schedule that the job is for, unix ms
	// Input is the task's input when it was at hand; nil: read it by Machine.GrantInput.
	Input []byte

	stored []byte // the key of the input, when that is a stored value as it is
}

// Revoke tells a session that an attempt is pointless: its job has ended.
type Revoke struct {
	Session uint64
	Fence   Fence
	Task    TaskRef
	Cause   string // JOB_CANCELED or JOB_FAILED
	Reason  string // what the canceler wrote, or which step has failed
}

// Finished is a job that reached a terminal state.
type Finished struct {
	Job   JobID
	State JobState
}

// HashResult is the state hash at one index, asked for by a HashState command.
type HashResult struct {
	Index uint64
	Hash  string // hex SHA-256 over all keys and values in order
}

// Witness says how far the state is on disk: everything up to Index, and the Raft configuration
// that was in force then.
type Witness struct {
	Index, Term        uint64
	Configuration      []byte
	ConfigurationIndex uint64
}

// Counters are replicated and exact: what the cluster has done since it began.
type Counters struct {
	Deduplicated, Replaced, BatchesCreated, BatchCallbacks uint64

	JobsSubmitted, JobsSucceeded, JobsFailed, JobsCanceled uint64
	Grants, Completions, Duplicates, Stale                 uint64
	Failures, Crashes, Releases, Dead                      uint64
	SessionsOpened, SessionsLost                           uint64
	TimersFired, JobsPurged, Snoozes                       uint64
	Saves, LogLines, LogLinesDropped                       uint64
	Deliveries, DeliveryFailures                           uint64
	SchedulesCreated, SchedulesDeleted                     uint64
	TicksFired, TicksSkipped, TicksMissed, TicksRefused    uint64
	RateLimited                                            uint64
	Discards, JobsExpired, JobsDiscarded                   uint64
}
