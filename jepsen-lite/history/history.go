// Package history records what clients saw: every call, when it began and ended, and how. It is one side
// of the evidence; the other is the committed log (package ledger).
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"
)

// Outcome is what a client knows after a call.
type Outcome string

const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail"    // it certainly did not happen
	Unknown Outcome = "unknown" // it may have happened, or happen yet
)

// Op is one call of one client.
type Op struct {
	Client  string        `json:"client"`
	Kind    string        `json:"kind"` // submit, await, read, cancel ...
	Key     string        `json:"key,omitempty"`
	Value   string        `json:"value,omitempty"`
	Begin   time.Duration `json:"begin"` // since the run began, on one monotonic clock
	End     time.Duration `json:"end"`
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"`

	Answer string `json:"answer,omitempty"` // where Value is what was asked for; the code of an error that a node has answered

	// Of calls that one node was asked for by itself:

	Node  string `json:"node,omitempty"`
	Index uint64 `json:"index,omitempty"` // of the log, that the answer says it holds at
}

// Recorder gathers the operations of one run. Its methods are safe for concurrent use.
type Recorder struct {
	start time.Time

	mu  sync.Mutex
	ops []Op
	out *bufio.Writer
	f   *os.File
	err error
}

// Create begins a history in a file, one JSON object a line. Time zero is now.
func Create(path string) (*Recorder, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &Recorder{start: time.Now(), f: f, out: bufio.NewWriter(f)}, nil
}

// Now is the time since the run began.
func (r *Recorder) Now() time.Duration { return time.Since(r.start) }

// Start is when the run began.
func (r *Recorder) Start() time.Time { return r.start }

// Add records an operation that has ended.
func (r *Recorder) Add(op Op) {
	line, err := json.Marshal(op)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	r.err = errors.Join(r.err, err)
}

// Ops are the operations so far, in the order of their ends.
func (r *Recorder) Ops() []Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ops[:len(r.ops):len(r.ops)]
}

// Close writes the file out.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.err, r.out.Flush(), r.f.Close())
}
