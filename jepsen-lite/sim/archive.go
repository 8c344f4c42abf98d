package sim

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
)

// archive is the committed log as far as any node has shown it. Nodes cut their logs, and a snapshot takes the
// place of what they had; the judges want everything.
//
// What a node has applied is committed, and where its log holds the last entry that it has applied, all of its
// log before that is committed too (Raft's log matching). So before each change to a log that part is kept. The
// first node to cut an entry off has applied it from its log, and so every entry comes here.
type archive struct {
	mu        sync.Mutex  // guards what follows
	entries   []*raft.Log // entries[i] has index i+1; nil: not seen yet
	conflicts []string
}

// keep takes over the committed part of a node's log. Precondition: turn is held.
func (d *logDisk) keep() {
	if d.applied == nil || d.life.dead() {
		return
	}
	index, term := d.applied()
	var last raft.Log
	if index <= d.kept || d.GetLog(index, &last) != nil || last.Term != term {
		return
	}
	first, _ := d.FirstIndex() // never fails
	var committed []*raft.Log
	for i := max(first, d.kept+1); i <= index; i++ {
		e := new(raft.Log)
		if d.GetLog(i, e) != nil {
			return
		}
		committed = append(committed, e)
	}
	d.archive.add(committed)
	d.kept = index
}

func (a *archive) add(committed []*raft.Log) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range committed {
		for uint64(len(a.entries)) < e.Index {
			a.entries = append(a.entries, nil)
		}
		was := a.entries[e.Index-1]
		switch {
		case was == nil:
			a.entries[e.Index-1] = e
		case was.Term != e.Term || was.Type != e.Type || !bytes.Equal(was.Data, e.Data):
			a.conflicts = append(a.conflicts, fmt.Sprintf("index %d was applied with term %d and with term %d", e.Index, was.Term, e.Term))
		}
	}
}

// records are the entries that were seen, in order.
func (a *archive) records(visit func(cluster.LogRecord) error) error {
	var seen []*raft.Log
	for _, e := range a.entries {
		if e != nil {
			seen = append(seen, e)
		}
	}
	return walk(seen, visit)
}
