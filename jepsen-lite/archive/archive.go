// Package archive keeps what nodes cut from their logs. A run is judged by the whole committed log, and a
// node that flushes often and keeps few entries has only the end of it.
//
// What Raft cuts from the front of a log is in the state on that node's disk, and so it is committed. What it
// removes from the back never was, or is in a state that the leader has sent: that is not kept.
package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
)

// Logs opens the log and the votes with open, and keeps in dir what is cut from the log. dir outlives the
// node's disk: it belongs to the run.
func Logs(dir string, open func(string) (cluster.LogStores, error)) func(string) (cluster.LogStores, error) {
	return func(at string) (cluster.LogStores, error) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return cluster.LogStores{}, err
		}
		// A file for each start: the last line of a process that was killed may be torn.
		f, err := os.CreateTemp(dir, "cut-*.jsonl")
		if err != nil {
			return cluster.LogStores{}, err
		}
		stores, err := open(at)
		if err != nil {
			return stores, errors.Join(err, f.Close())
		}
		return cluster.LogStores{
			Log: &logStore{stores.Log, f}, Stable: stores.Stable,
			Close: func() error { return errors.Join(stores.Close(), f.Close()) },
		}, nil
	}
}

type logStore struct {
	raft.LogStore
	out *os.File
}

// DeleteRange writes down what it cuts from the front, and then cuts it. A kill in between leaves it in both.
func (s *logStore) DeleteRange(low, high uint64) error {
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if high < last {
		if err := s.keep(low, high); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	return s.LogStore.DeleteRange(low, high)
}

func (s *logStore) keep(low, high uint64) error {
	var lines bytes.Buffer
	for index := low; index <= high; index++ {
		var entry raft.Log
		if err := s.GetLog(index, &entry); err != nil {
			return err
		}
		line, err := json.Marshal(cluster.LogRecord{
			Index: entry.Index, Term: entry.Term, AppendedAt: entry.AppendedAt, Data: entry.Data,
			Command: entry.Type == raft.LogCommand, Configuration: entry.Type == raft.LogConfiguration,
		})
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	_, err := s.out.Write(lines.Bytes())
	return err
}

// Walk calls visit for every entry that was kept in dir, in no order, some more than once. A directory that
// does not exist has none.
func Walk(dir string, visit func(cluster.LogRecord) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "cut-*.jsonl"))
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := walkFile(name, visit); err != nil {
			return fmt.Errorf("archive %s: %w", name, err)
		}
	}
	return nil
}

func walkFile(name string, visit func(cluster.LogRecord) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // what is left of a line is of a write that was killed: the entry was not cut
		}
		if err != nil {
			return err
		}
		var record cluster.LogRecord
		if err := json.Unmarshal(line, &record); err != nil {
			return err
		}
		if err := visit(record); err != nil {
			return err
		}
	}
}
