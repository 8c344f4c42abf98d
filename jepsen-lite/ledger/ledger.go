// Package ledger reads what a cluster has decided: the committed log of its stopped nodes, and what each
// entry did when it is applied to an empty state machine. Most promises about tasks are plain folds over it.
package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/archive"
)

// Node is where a stopped node's data is, and what it had applied when it was asked last.
type Node struct {
	ID, Data string
	// Archive is where it kept what it cut from its log (package archive).
	Archive string
	// Walk visits its log in place of Data and Archive, for one that is in memory; nil: they are read.
	Walk    func(visit func(cluster.LogRecord) error) error
	Applied uint64
	// Left says that it is no member any more: what is in its log after Applied may never have been committed.
	Left bool
}

// Entry is a committed entry of the log and what it did.
type Entry struct {
	Index, Term uint64
	NowMS       int64
	AppendedAt  time.Time        // by the clock of the leader's machine; zero when it is not known
	Commands    []*fsmpb.Command // nil for an entry of Raft's own
	Result      *fsm.Result      // nil likewise
	// Members are those that an entry makes the cluster's, as Raft names them; nil for all others. Voters are
	// those of them that vote.
	Members, Voters []string
}

// Ledger is the committed log of a run, and the state it leads to.
type Ledger struct {
	Entries []Entry
	// Disagreements say where the logs of two nodes differ below the last committed index.
	Disagreements []string
	// Damaged are the logs that were damaged.
	Damaged []Damaged
	// Hashes are the state's hashes at the HashState commands, by index, of the replay.
	Hashes map[uint64]string
	// Bug is what the state machine panicked with; "" = it did not. Entries end before it then.
	Bug string
	// Machine is the state after the last entry, in memory.
	Machine *fsm.Machine

	whole map[uint64]cluster.LogRecord
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
	whole := map[uint64]cluster.LogRecord{}
	for i, n := range nodes {
		sums[i] = map[uint64][32]byte{}
		until := committed
		if n.Left {
			until = n.Applied
		}
		note := func(e cluster.LogRecord) error {
			if e.Index > until {
				return nil
			}
			sum := sumOf(e)
			if was, twice := sums[i][e.Index]; twice && was != sum {
				l.disagree("index %d: node %s has cut one entry from its log, and has another in it", e.Index, n.ID)
			}
			sums[i][e.Index] = sum
			if _, known := whole[e.Index]; !known {
				whole[e.Index] = e
			}
			return nil
		}
		walk := n.Walk
		if walk == nil {
			walk = func(visit func(cluster.LogRecord) error) error {
				return errors.Join(archive.Walk(n.Archive, visit), cluster.WalkLog(ctx, n.Data, visit))
			}
		}
		if err := walk(note); err != nil {
			return nil, fmt.Errorf("the log of node %s: %w", n.ID, err)
		}
	}
	l.compare(nodes, sums, committed)
	l.whole = whole
	for index := uint64(1); index <= committed; index++ {
		if _, ok := whole[index]; !ok {
			return l, fmt.Errorf("no node has entry %d of the log, of %d that are committed", index, committed)
		}
	}
	return l, l.replay(ctx, whole, committed, checkInvariants)
}

func sumOf(e cluster.LogRecord) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %t %t ", e.Term, e.Command, e.Configuration)
	h.Write(e.Data)
	return [32]byte(h.Sum(nil))
}

// disagreementsMax bounds what is reported: the first says it all.
const disagreementsMax = 20

func (l *Ledger) disagree(format string, args ...any) {
	if len(l.Disagreements) < disagreementsMax {
		l.Disagreements = append(l.Disagreements, fmt.Sprintf(format, args...))
	}
}

func (l *Ledger) compare(nodes []Node, sums []map[uint64][32]byte, committed uint64) {
	for index := uint64(1); index <= committed; index++ {
		first := -1
		for i := range nodes {
			sum, ok := sums[i][index]
			switch {
			case !ok:
			case first < 0:
				first = i
			case sum != sums[first][index]:
				l.disagree("index %d: nodes %s and %s have different entries", index, nodes[first].ID, nodes[i].ID)
			}
		}
	}
}

func (l *Ledger) replay(ctx context.Context, whole map[uint64]cluster.LogRecord, committed uint64, checkInvariants bool) error {
	m, err := fsm.Open(vfs.NewMem(), "ledger", fsm.Options{
		Logger:          slog.New(slog.DiscardHandler),
		CheckInvariants: checkInvariants,
		CacheBytes:      16 << 20, // little: the machine is in memory as it is
		OnHash:          func(h fsm.HashResult) { l.Hashes[h.Index] = h.Hash },
	})
	if err != nil {
		return err
	}
	l.Machine = m
	for index := uint64(1); index <= committed; index++ {
		e := whole[index]
		entry := Entry{Index: e.Index, Term: e.Term, AppendedAt: e.AppendedAt}
		if e.Command {
			decoded, err := fsm.DecodeEntry(e.Data)
			if err != nil {
				return fmt.Errorf("replay of the log: entry %d: %w", index, err)
			}
			entry.NowMS, entry.Commands = decoded.NowMs, decoded.Commands
		}
		if e.Configuration {
			entry.Members, entry.Voters = members(e.Data)
		}
		entry.Result, err = l.apply(e)
		switch {
		case l.Bug != "":
			return nil
		case err != nil:
			return errors.Join(errors.New("replay of the log"), err)
		}
		l.Entries = append(l.Entries, entry)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// apply applies an entry, and takes down what the state machine panics with.
func (l *Ledger) apply(e cluster.LogRecord) (*fsm.Result, error) {
	defer func() {
		if bug := recover(); bug != nil {
			l.Bug = fmt.Sprintf("index %d: %v", e.Index, bug)
		}
	}()
	return e.Apply(l.Machine)
}

func members(configuration []byte) (all, voters []string) {
	all = []string{} // not nil: it says that the entry is one
	for _, s := range raft.DecodeConfiguration(configuration).Servers {
		all = append(all, string(s.ID))
		if s.Suffrage == raft.Voter {
			voters = append(voters, string(s.ID))
		}
	}
	return all, voters
}

// Close frees the machine.
func (l *Ledger) Close() error {
	if l.Machine == nil {
		return nil
	}
	return l.Machine.Close()
}
