//go:build !bug_chosen

package planted

// Bug is the name of the bug that is planted; "" = none.
const Bug = bug

// The bugs, in the order of the laws that they break (design, section 7).
const (
	// AckBeforeCommit (law 1; engine/submit.go): a submission is answered when it is queued, before it is in the log.
	AckBeforeCommit = bug == "ackbeforecommit"
	// AckBeforeFsync (law 14; cluster/wal/segment.go): an entry counts as stored before the disk has it.
	AckBeforeFsync = bug == "ackbeforefsync"
	// NoFence (law 2; fsm/complete_task.go): a report under a lease that is over counts for the lease that there is.
	NoFence = bug == "nofence"
	// ExpireStale (law 2; engine/sessions.go): a new leader does not give sessions a fresh time to live.
	ExpireStale = bug == "expirestale"
	// Rescue (law 3; fsm/close_session.go): the end of a session puts tasks back whose results were accepted.
	Rescue = bug == "rescue"
	// NoParents (law 4; fsm/expand.go): a fold's node runs when all of its children but one are there.
	NoParents = bug == "noparents"
	// EarlyTimer (law 4; fsm/progress.go): a retry is due 50 ms too early.
	EarlyTimer = bug == "earlytimer"
	// EarlyStart (law 4; fsm/progress.go): a job starts 50 ms before its time.
	EarlyStart = bug == "earlystart"
	// CancelGrants (law 4; fsm/cancel_job.go): a canceled job's tasks stay in their lanes.
	CancelGrants = bug == "cancelgrants"
	// JoinOnce (law 5; fsm/complete_task.go): a result that is reported again is counted again by what waits for it.
	JoinOnce = bug == "joinonce"
	// FreeAttempt (law 6; fsm/close_session.go): a lease that was lost with its worker is not charged.
	FreeAttempt = bug == "freeattempt"
	// LostWake (law 7; fsm/limiter.go): what a concurrency limit has held back is not looked at again when there is room.
	LostWake = bug == "lostwake"
	// ChunkLost (law 7; fsm/apply.go): the next item of every map that is under way is lost when another node begins to lead.
	ChunkLost = bug == "chunklost"
	// TwoCmdCron (law 8; fsm/schedule_tick.go): a tick makes its job twice.
	TwoCmdCron = bug == "twocmdcron"
	// UniqueFree (law 9; fsm/unique.go): a unique key is free as soon as its holder starts.
	UniqueFree = bug == "uniquefree"
	// ThrottleEnds (law 9; fsm/unique.go): a throttled key is free when its job has ended.
	ThrottleEnds = bug == "throttleends"
	// FullBucket (law 10; fsm/apply.go): what rate limits have counted is forgotten when another node begins to lead.
	FullBucket = bug == "fullbucket"
	// MapOrder (law 11; fsm/match.go): a lease goes to the free session that comes first in the order of a Go map.
	MapOrder = bug == "maporder"
	// IndexSplit (law 11; fsm/machine.go): the applied index is not in the batch of the data.
	IndexSplit = bug == "indexsplit"
	// DoubleApply (law 11; fsm/load.go): the last entries before a restart are applied again after it.
	DoubleApply = bug == "doubleapply"
	// SnapSkip (law 11; fsm/snapshot.go): a snapshot is restored without the timers.
	SnapSkip = bug == "snapskip"
	// StaleRead (law 12; cluster/server_jobs.go): linearizable reads are answered from the state of whichever node was asked.
	StaleRead = bug == "staleread"
	// SharedVerify (law 12; engine/read.go): a leader asks a majority only once whether it leads.
	SharedVerify = bug == "sharedverify"
	// UnknownPending (law 13; cluster/server_get.go): an unknown job is answered as one that runs.
	UnknownPending = bug == "unknownpending"
	// KeyFirst (law 13; fsm/submit_job.go): the idempotency key of a submission is kept although the submission is refused.
	KeyFirst = bug == "keyfirst"
	// SwallowError (law 14; cluster/logstore.go): an error of the log's disk is ignored.
	SwallowError = bug == "swallowerror"
	// Restless (law 14; cluster/leadership.go): a leader hands leadership on every 3 s.
	Restless = bug == "restless"
)
