package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// Whatever becomes of the bytes of a log, reading it gives what was written, or says that it is damaged. Bolt
// by itself panics, faults, or gives another entry.
func TestCheckedLog_ADamagedFileNeverGivesAnotherEntry(t *testing.T) {
	dir := t.TempDir()
	stores, err := BoltLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := &checkedLog{stores.Log}
	var batch []*raft.Log
	for index := uint64(1); index <= 400; index++ {
		batch = append(batch, &raft.Log{Index: index, Term: 1 + index/100, Data: bytes.Repeat([]byte(fmt.Sprint(index, " ")), 20)})
		if index%8 == 0 {
			if err := log.StoreLogs(batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	if err := errors.Join(log.DeleteRange(1, 40), stores.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, logFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(whole, "\x00"))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := rand.New(rand.NewPCG(1, 2))
	refused, read := 0, 0
	for range 150 {
		at := r.IntN(used)
		size := []int{1, 1, 1, 16, 4096}[r.IntN(5)]
		noise := bytes.Clone(whole[at:min(at+size, len(whole))])
		for i := range noise {
			noise[i] ^= byte(1 << r.IntN(8))
		}
		if _, err := file.WriteAt(noise, int64(at)); err != nil {
			t.Fatal(err)
		}
		err := readWhole(path)
		switch {
		case err == nil:
			read++
		case errors.Is(err, errDamaged):
			refused++
		default:
			t.Errorf("%d bytes at %d: %v", size, at, err)
		}
		if _, err := file.WriteAt(whole[at:at+len(noise)], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if refused < 15 || read < 15 { // of what is not in use nobody cares
		t.Errorf("of 150 damages %d were found, %d did not matter", refused, read)
	}
}

// readWhole reads a log as a node does that starts, and returns what is wrong with it.
func readWhole(path string) error {
	if err := checkBolt(path, logKey); err != nil {
		return err
	}
	store, err := openBolt(path, 0, true)
	if err != nil {
		return err
	}
	defer store.Close()
	log := &checkedLog{store}
	first, err := log.FirstIndex()
	last, lastErr := log.LastIndex()
	if err = errors.Join(err, lastErr); err != nil {
		return err
	}
	if first != 41 || last != 400 {
		return fmt.Errorf("the log goes from %d to %d", first, last)
	}
	for index := first; index <= last; index++ {
		var l raft.Log
		if err := log.GetLog(index, &l); err != nil {
			return err
		}
		if l.Term != 1+index/100 || string(l.Data) != string(bytes.Repeat([]byte(fmt.Sprint(index, " ")), 20)) {
			return fmt.Errorf("entry %d came back as another", index)
		}
	}
	return nil
}

func TestCheckedStable_AVoteThatWasDamagedIsNoVote(t *testing.T) {
	memory := raft.NewInmemStore()
	stable := &checkedStable{memory}
	if err := errors.Join(memory.SetUint64([]byte("LastVoteTerm"), 6), stable.SetUint64([]byte("CurrentTerm"), 7), stable.Set([]byte("LastVoteCand"), []byte("n1"))); err != nil {
		t.Fatal(err)
	}
	if term, err := stable.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
		t.Errorf("term %d: %v", term, err)
	}
	if term, err := stable.GetUint64([]byte("LastVoteTerm")); err != nil || term != 6 {
		t.Errorf("a vote of before there were checksums: %d: %v", term, err)
	}
	for _, key := range []string{"CurrentTerm", "LastVoteCand"} {
		kept, err := memory.Get([]byte(summedPrefix + key))
		if err != nil {
			t.Fatal(err)
		}
		kept[1] ^= 1
		if _, err := stable.Get([]byte(key)); !errors.Is(err, errDamaged) {
			t.Errorf("%s, damaged, is read: %v", key, err)
		}
	}
}
