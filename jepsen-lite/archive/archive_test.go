package archive

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
)

func TestLogs_WhatIsCutFromTheFrontIsKeptAndWhatIsDiscardedIsNot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	memory := raft.NewInmemStore()
	stores, err := Logs(dir, func(string) (cluster.LogStores, error) {
		return cluster.LogStores{Log: memory, Stable: memory, Close: func() error { return nil }}, nil
	})("")
	if err != nil {
		t.Fatal(err)
	}
	for index := uint64(1); index <= 9; index++ {
		if err := stores.Log.StoreLog(&raft.Log{Index: index, Term: 1, Data: []byte{byte(index)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, cut := range [][2]uint64{{8, 9}, {1, 3}, {4, 5}, {6, 7}} { // the last removes all that is left
		if err := stores.Log.DeleteRange(cut[0], cut[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := stores.Close(); err != nil {
		t.Fatal(err)
	}
	var kept []uint64
	err = Walk(dir, func(r cluster.LogRecord) error {
		if !r.Command || len(r.Data) != 1 || uint64(r.Data[0]) != r.Index {
			t.Errorf("entry %d came back as %+v", r.Index, r)
		}
		kept = append(kept, r.Index)
		return nil
	})
	if slices.Sort(kept); err != nil || !slices.Equal(kept, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("kept %v: %v", kept, err)
	}
}
