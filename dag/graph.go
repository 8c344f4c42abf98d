package dag

// Graph is a workflow as a value: steps, the values that flow between them, and the value that the
// job returns. It is immutable once Build or Decode has returned it, and safe for concurrent use.
//
// Invariant: Steps is in topological order (a step refers only to steps before it), names are
// unique, and every reference names an earlier step. Decode and Build are the only makers.
type Graph struct {
	// Name of the workflow, 1-255 bytes of [A-Za-z0-9._/-].
	Name string `json:"name"`
	// Steps in a deterministic topological order.
	Steps []Step `json:"steps"`
	// Output is what the job returns.
	Output Expr `json:"output"`

	deps       [][]StepID // per step, ascending, without repeats
	dependents [][]StepID // per step, ascending, without repeats
	index      map[string]StepID
}

// StepID is a step's position in Graph.Steps.
type StepID uint32

// StepKind says how a step makes tasks. The names are in stored graphs: append only.
type StepKind string

const (
	// StepTask makes one task.
	StepTask StepKind = "task"
	// StepMap makes one task for each item of its input, which must be a list.
	StepMap StepKind = "map"
	// StepFold makes a tree of tasks that reduces its input, which must be a list, to one value.
	StepFold StepKind = "fold"
)

// Step is one vertex of the graph.
type Step struct {
	// Name is unique in the graph, 1-255 bytes of [A-Za-z0-9._/-].
	Name string   `json:"name"`
	Kind StepKind `json:"kind"`
	// Task is the name of the task that a worker runs. For a fold: the leaf, which takes a list.
	Task string `json:"task"`
	// Types is a fingerprint of the task's input and output types ("" = not checked).
	Types string `json:"types,omitempty"`
	// Merge is the task of the inner nodes of a fold ("" = the same as Task), MergeTypes its fingerprint.
	Merge      string `json:"merge,omitempty"`
	MergeTypes string `json:"merge_types,omitempty"`
	// Input is the value that the step's task takes, or the list that a map or fold goes over.
	Input Expr `json:"input"`
	// After lists steps (by name) that must be done first although no value flows from them.
	After   []string `json:"after,omitempty"`
	Options Options  `json:"options,omitzero"`
}

// Options say how a step's tasks are run. The zero value of each field means its default.
type Options struct {
	// Queue the tasks wait in. Default "default".
	Queue string `json:"queue,omitempty"`
	// Priority from 1 (first) to 10 (last), one more than the user's 0-9. Default 6 (the user's 5).
	Priority uint8 `json:"priority,omitempty"`
	// TimeoutMS bounds one attempt, in milliseconds. Default 0: no bound.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
	// HardTimeoutMS is when an attempt's lease ends whatever its worker does, in milliseconds. Default
	// TimeoutMS and 20 s, or no bound without a TimeoutMS.
	HardTimeoutMS int64 `json:"hard_timeout_ms,omitempty"`
	// HeartbeatMS is how long an attempt may go without a sign of life of its function. Default 0: no bound.
	HeartbeatMS int64 `json:"heartbeat_ms,omitempty"`
	// QueueWaitMS is how long a plain step's task may wait for its first attempt once it is PENDING.
	// Default 0: no bound.
	QueueWaitMS int64 `json:"queue_wait_ms,omitempty"`
	Retry       Retry `json:"retry,omitzero"`
	// MaxParallel bounds the live tasks of a map or fold. Default 10,000, which is also the limit.
	MaxParallel uint32 `json:"max_parallel,omitempty"`
	// Tolerate is how many items of a map may die without failing the job. Default 0.
	Tolerate uint64 `json:"tolerate,omitempty"`
	// Settled makes a map's dead items values: every element is {"value":v} or {"error":{...}}.
	Settled bool `json:"settled,omitempty"`
	// FanIn is how many values one node of a fold takes. Default 16, 2 to 1,000.
	FanIn uint32 `json:"fan_in,omitempty"`
	// PartitionBy is a JSON pointer into the task's input: the scalar there is the task's partition, by which
	// fairness and limits per partition work (PartitionOf). Plain tasks only. Default "": the job's partition.
	PartitionBy string `json:"partition_by,omitempty"`
}

// Retry is a retry policy in integers, so that every replica computes the same delay.
type Retry struct {
	// MaxAttempts counts the first try. Default 25, limit 10,000.
	MaxAttempts uint32 `json:"max_attempts,omitempty"`
	// CrashLimit is how many times a task may lose its worker. Default 3.
	CrashLimit uint32 `json:"crash_limit,omitempty"`
	// FirstMS is the delay after the first failure. Default 0: the curve n^4+15 s of Sidekiq.
	FirstMS int64 `json:"first_ms,omitempty"`
	// FactorMilli multiplies the delay with each failure, in thousandths. Default 2,000.
	FactorMilli uint32 `json:"factor_milli,omitempty"`
	// CapMS bounds one delay. Default 24 h.
	CapMS int64 `json:"cap_ms,omitempty"`
	// JitterPercent spreads a delay over [d*(100-j)/100, d]. Default 10; -1 turns it off.
	JitterPercent int32 `json:"jitter_percent,omitempty"`
	// DeadlineMS ends the series: no attempt begins later than this after the first one began. Default 0: no bound.
	DeadlineMS int64 `json:"deadline_ms,omitempty"`
	// PermanentOn are types of errors after which no further attempt is made. At most 100.
	PermanentOn []string `json:"permanent_on,omitempty"`
	// DiscardOn are types of errors that say that the task is not wanted any more. At most 100.
	DiscardOn []string `json:"discard_on,omitempty"`
}

// Op is the operator of an Expr. The names are in stored graphs: append only.
type Op string

const (
	OpInput   Op = "input"   // the job's input
	OpStep    Op = "step"    // the result of Step; of a map: the list of its results in item order
	OpConst   Op = "const"   // Value
	OpObject  Op = "object"  // {Fields...}, in the order given
	OpChunk   Op = "chunk"   // the list Of cut into lists of N items, the last one shorter
	OpFlatten Op = "flatten" // the list of lists Of as one list
)

// Expr is a value computed by the engine from other values: no worker and no copy is needed. All
// values are JSON documents; a list is a JSON array.
type Expr struct {
	Op     Op      `json:"op"`
	Step   string  `json:"step,omitempty"`   // OpStep
	Value  Raw     `json:"value,omitempty"`  // OpConst
	Fields []Field `json:"fields,omitempty"` // OpObject
	Of     *Expr   `json:"of,omitempty"`     // OpChunk, OpFlatten
	N      uint32  `json:"n,omitempty"`      // OpChunk, at least 1

	id StepID // resolved Step
}

// Field is one member of an OpObject.
type Field struct {
	Name string `json:"name"`
	Of   Expr   `json:"of"`
}

// Raw is a JSON document. Build and Decode take out the space between its tokens, and keep the rest
// byte for byte: a number is never read as a float.
type Raw []byte
