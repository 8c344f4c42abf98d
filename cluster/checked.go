package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster/wal"
	"github.com/fanfold/fanfold/fsm"
)

// What is read from the log and of the votes is what was written, or an errDamaged. Bolt has checksums of its
// meta pages alone, so a flipped bit in an entry would be applied, or sent to others, as the truth.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumSize = 4

// checkedLog keeps with every entry a checksum of all of it, in the field that raft.Log has for what stores add.
// Entries without one, of before it was kept, are taken as they are.
type checkedLog struct{ raft.LogStore }

func sumOfEntry(l *raft.Log) []byte {
	var head [17]byte
	binary.BigEndian.PutUint64(head[:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	return binary.BigEndian.AppendUint32(nil, crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data))
}

func (c *checkedLog) StoreLog(l *raft.Log) error { return c.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores copies: Raft goes on with its own.
func (c *checkedLog) StoreLogs(logs []*raft.Log) error {
	copies := make([]raft.Log, len(logs))
	summed := make([]*raft.Log, len(logs))
	for i, l := range logs {
		copies[i] = *l
		copies[i].Extensions = sumOfEntry(l)
		summed[i] = &copies[i]
	}
	return sound(func() error { return c.LogStore.StoreLogs(summed) })
}

// GetLog returns raft.ErrLogNotFound only for what lies outside of the log: a hole in it is damage.
func (c *checkedLog) GetLog(index uint64, l *raft.Log) error {
	err := sound(func() error { return c.LogStore.GetLog(index, l) })
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		first, firstErr := c.FirstIndex()
		last, lastErr := c.LastIndex()
		if firstErr == nil && lastErr == nil && first > 0 && first <= index && index <= last {
			return wrong("entry %d is missing from a log of %d to %d", index, first, last)
		}
		return err
	case err != nil && decoding(err):
		return wrong("entry %d of the log cannot be read: %v", index, err)
	case err != nil:
		return err
	case l.Index != index || len(l.Extensions) > 0 && string(l.Extensions) != string(sumOfEntry(l)):
		return wrong("entry %d of the log is not what was written", index)
	case len(l.Extensions) == 0 && c.summed(index-1):
		return wrong("entry %d of the log has lost its checksum", index)
	}
	l.Extensions = nil
	return nil
}

// summed reports whether an entry has a checksum: all that came after one that has have one.
func (c *checkedLog) summed(index uint64) bool {
	var l raft.Log
	err := sound(func() error { return c.LogStore.GetLog(index, &l) })
	return err == nil && len(l.Extensions) > 0
}

// decoding reports whether an error is of the bytes that were read, and not of reading them. Neither bolt's
// codec nor the store on top of it has types for its errors.
func decoding(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "msgpack decode error") || text == io.EOF.Error() || text == io.ErrUnexpectedEOF.Error()
}

func (c *checkedLog) FirstIndex() (index uint64, err error) {
	err = sound(func() (err error) { index, err = c.LogStore.FirstIndex(); return err })
	return index, err
}

func (c *checkedLog) LastIndex() (index uint64, err error) {
	err = sound(func() (err error) { index, err = c.LogStore.LastIndex(); return err })
	return index, err
}

func (c *checkedLog) DeleteRange(low, high uint64) error {
	return sound(func() error { return c.LogStore.DeleteRange(low, high) })
}

// checkedStable keeps each value with a checksum, under a name of its own: values of before it was kept are
// found under Raft's names.
type checkedStable struct{ raft.StableStore }

const summedPrefix = "sum/"

// stableKeys are the names that Raft uses.
var stableKeys = map[string]bool{"CurrentTerm": true, "LastVoteTerm": true, "LastVoteCand": true}

func (c *checkedStable) sum(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value))
}

func (c *checkedStable) Set(key, value []byte) error {
	return sound(func() error {
		return c.StableStore.Set([]byte(summedPrefix+string(key)), append(append([]byte(nil), value...), c.sum(key, value)...))
	})
}

func (c *checkedStable) Get(key []byte) (value []byte, err error) {
	err = sound(func() (err error) { value, err = c.StableStore.Get([]byte(summedPrefix + string(key))); return err })
	if isKeyMissing(err) || err == nil && len(value) == 0 { // stores differ in what they say of it
		err = sound(func() (err error) { value, err = c.StableStore.Get(key); return err })
		return value, err
	}
	if err != nil {
		return nil, err
	}
	n := len(value) - sumSize
	if n < 0 || string(c.sum(key, value[:n])) != string(value[n:]) {
		return nil, wrong("what is kept as %s is not what was written", key)
	}
	return value[:n], nil
}

func (c *checkedStable) SetUint64(key []byte, value uint64) error {
	return c.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

func (c *checkedStable) GetUint64(key []byte) (uint64, error) {
	value, err := sumless(c, key)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	if len(value) != 8 {
		return 0, wrong("what is kept as %s is no number", key)
	}
	return binary.BigEndian.Uint64(value), nil
}

// sumless reads a number that may have been written before there were checksums, by the store's own means.
func sumless(c *checkedStable, key []byte) ([]byte, error) {
	value, err := c.StableStore.Get([]byte(summedPrefix + string(key)))
	if isKeyMissing(err) || err == nil && len(value) == 0 {
		var n uint64
		err := sound(func() (err error) { n, err = c.StableStore.GetUint64(key); return err })
		return binary.BigEndian.AppendUint64(nil, n), err
	}
	return c.Get(key)
}

// sound turns bolt's way to report a damaged page, a panic or a fault of the memory that it maps, into an error.
func sound(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = wrong("%v", v)
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return do()
}

// exitOf is the code for an error of a store that, were it an error of the disk, would be code.
func exitOf(err error, code int) int {
	if errors.Is(err, errDamaged) || errors.Is(err, wal.ErrCorrupt) {
		return ExitCorruption
	}
	return code
}

// refuseDamaged makes an ExitError of an error that says that what is on the disk is damaged.
func refuseDamaged(dir string, err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf("%v; empty the data directory %s and start the node again: it joins anew", err, dir)}
}

// damagedState says that a state that cannot be opened is damaged, unless it is the disk that failed, or the program
// that is too old.
func damagedState(err error) error {
	var disk syscall.Errno
	if errors.As(err, &disk) && disk != syscall.ENOENT || errors.Is(err, fsm.ErrFormat) {
		return err
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}
