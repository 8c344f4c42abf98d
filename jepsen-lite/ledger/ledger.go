// Package ledger reads what a cluster has decided: the committed log of its stopped nodes, and what each
// entry did when it is applied to an empty state machine. Most promises about tasks are plain folds over it.
package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Node is where a stopped node's data is, and what it had applied when it was asked last.
type Node struct {
	ID, Data string
	Applied  uint64
}

// Entry is a committed entry of the log and what it did.
type Entry struct {
	Index, Term uint64
	NowMS       int64
	Commands    []*fsmpb.Command // nil for an entry of Raft's own
	Result      *fsm.Result      // nil likewise
}

// Ledger is the committed log of a run, and the state it leads to.
type Ledger struct {
	Entries []Entry
	// Disagreements say where the logs of two nodes differ below the last committed index.
	Disagreements []string
	// Hashes are the state's hashes at the HashState commands, by index, of the replay.
	Hashes map[uint64]string
	// Machine is the state after the last entry, in memory.
	Machine *fsm.Machine
}

// Read reads the logs of all nodes, compares them, and replays them into an empty machine. What any node
// has applied is committed; of what is after that nothing is known, and it is left out.
func Read(ctx context.Context, nodes []Node, checkInvariants bool) (*Ledger, error) {
	var committed uint64
	for _, n := range nodes {
		committed = max(committed, n.Applied)
	}
	l := &Ledger{Hashes: map[uint64]string{}}
	sums := make([]map[uint64][32]byte, len(nodes))
	longest := -1
	for i, n := range nodes {
		sums[i] = map[uint64][32]byte{}
		err := cluster.WalkLog(ctx, n.Data, func(e cluster.LogRecord) error {
			if e.Index <= committed {
				sums[i][e.Index] = sumOf(e)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("the log of node %s: %w", n.ID, err)
		}
		if _, whole := sums[i][1]; whole && uint64(len(sums[i])) >= committed {
			longest = i
		}
	}
	l.compare(nodes, sums, committed)
	if longest < 0 {
		return l, fmt.Errorf("no node has the whole log up to index %d: run the nodes with a large --trailing-logs", committed)
	}
	return l, l.replay(ctx, nodes[longest], committed, checkInvariants)
}

func sumOf(e cluster.LogRecord) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %t %t ", e.Term, e.Command, e.Configuration)
	h.Write(e.Data)
	return [32]byte(h.Sum(nil))
}

// disagreementsMax bounds what is reported: the first says it all.
const disagreementsMax = 20

func (l *Ledger) compare(nodes []Node, sums []map[uint64][32]byte, committed uint64) {
	for index := uint64(1); index <= committed && len(l.Disagreements) < disagreementsMax; index++ {
		first := -1
		for i := range nodes {
			sum, ok := sums[i][index]
			switch {
			case !ok:
			case first < 0:
				first = i
			case sum != sums[first][index]:
				l.Disagreements = append(l.Disagreements, fmt.Sprintf("index %d: nodes %s and %s have different entries", index, nodes[first].ID, nodes[i].ID))
			}
		}
	}
}

func (l *Ledger) replay(ctx context.Context, n Node, committed uint64, checkInvariants bool) error {
	m, err := fsm.Open(vfs.NewMem(), "ledger", fsm.Options{
		Logger:          slog.New(slog.DiscardHandler),
		CheckInvariants: checkInvariants,
		OnHash:          func(h fsm.HashResult) { l.Hashes[h.Index] = h.Hash },
	})
	if err != nil {
		return err
	}
	l.Machine = m
	err = cluster.WalkLog(ctx, n.Data, func(e cluster.LogRecord) error {
		if e.Index > committed {
			return nil
		}
		entry := Entry{Index: e.Index, Term: e.Term}
		if e.Command {
			decoded, err := fsm.DecodeEntry(e.Data)
			if err != nil {
				return err
			}
			entry.NowMS, entry.Commands = decoded.NowMs, decoded.Commands
		}
		entry.Result, err = e.Apply(m)
		if err != nil {
			return err
		}
		l.Entries = append(l.Entries, entry)
		return nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("replay of the log of node %s", n.ID), err)
	}
	return nil
}

// Close frees the machine.
func (l *Ledger) Close() error {
	if l.Machine == nil {
		return nil
	}
	return l.Machine.Close()
}
