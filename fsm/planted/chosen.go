//go:build bug_chosen

package planted

import "os"

var bug = os.Getenv(Environment)

// Bug is the name of the bug that is planted; "" = none.
var Bug = bug

// The bugs, as fixed.go has them.
var (
	AckBeforeCommit = bug == "ackbeforecommit"
	AckBeforeFsync  = bug == "ackbeforefsync"
	NoFence         = bug == "nofence"
	ExpireStale     = bug == "expirestale"
	Rescue          = bug == "rescue"
	NoParents       = bug == "noparents"
	EarlyTimer      = bug == "earlytimer"
	EarlyStart      = bug == "earlystart"
	CancelGrants    = bug == "cancelgrants"
	JoinOnce        = bug == "joinonce"
	FreeAttempt     = bug == "freeattempt"
	LostWake        = bug == "lostwake"
	ChunkLost       = bug == "chunklost"
	TwoCmdCron      = bug == "twocmdcron"
	UniqueFree      = bug == "uniquefree"
	ThrottleEnds    = bug == "throttleends"
	FullBucket      = bug == "fullbucket"
	MapOrder        = bug == "maporder"
	IndexSplit      = bug == "indexsplit"
	DoubleApply     = bug == "doubleapply"
	SnapSkip        = bug == "snapskip"
	StaleRead       = bug == "staleread"
	SharedVerify    = bug == "sharedverify"
	UnknownPending  = bug == "unknownpending"
	KeyFirst        = bug == "keyfirst"
	SwallowError    = bug == "swallowerror"
	Restless        = bug == "restless"
)
