package wal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

func entries(from, to, term uint64) (logs []*raft.Log) {
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term, Data: fmt.Append(nil, "entry ", i, " of ", term)})
	}
	return logs
}

func open(t *testing.T, fs vfs.FS, o Options) *Log {
	t.Helper()
	l, err := Open(fs, "log", o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fresh(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	do(t, fs.MkdirAll("log", 0o755), syncDir(fs, "/"))
	return fs
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// dump lists a log as "index@term".
func dump(t *testing.T, l *Log) (all []string) {
	t.Helper()
	first, err := l.FirstIndex()
	do(t, err)
	last, err := l.LastIndex()
	do(t, err)
	for i := first; i <= last && first > 0; i++ {
		var e raft.Log
		do(t, l.GetLog(i, &e))
		if want := fmt.Sprint("entry ", i, " of ", e.Term); string(e.Data) != want {
			t.Fatalf("entry %d is %q", i, e.Data)
		}
		all = append(all, fmt.Sprint(e.Index, "@", e.Term))
	}
	return all
}

func TestLog_IsThereAgainAfterOpening(t *testing.T) {
	fs := fresh(t)
	l := open(t, fs, Options{})
	want := &raft.Log{
		Index: 7, Term: 3, Type: raft.LogConfiguration, Data: []byte("data"), Extensions: []byte("more"),
		AppendedAt: time.Unix(1_700_000_000, 5),
	}
	do(t, l.StoreLog(want), l.StoreLogs([]*raft.Log{{Index: 8, Term: 3}, {Index: 9, Term: 4}}), l.Close())
	l = open(t, fs, Options{})
	var got, empty raft.Log
	do(t, l.GetLog(7, &got), l.GetLog(8, &empty))
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Error(diff)
	}
	if empty.Term != 3 || len(empty.Data) != 0 || !empty.AppendedAt.IsZero() {
		t.Errorf("%+v", empty)
	}
	for _, index := range []uint64{0, 6, 10} {
		if err := l.GetLog(index, &got); err != raft.ErrLogNotFound {
			t.Errorf("entry %d: %v", index, err)
		}
	}
	do(t, l.Close())
}

func TestLog_CutsAreThereAgainAfterOpening(t *testing.T) {
	fs := fresh(t)
	o := Options{SegmentBytes: 300} // of three or four entries
	l := open(t, fs, o)
	do(t, l.StoreLogs(entries(1, 3, 1)), l.StoreLogs(entries(4, 8, 1)), l.StoreLogs(entries(9, 12, 1)))
	do(t, l.DeleteRange(6, 12), l.StoreLogs(entries(6, 7, 2)))
	want := []string{"1@1", "2@1", "3@1", "4@1", "5@1", "6@2", "7@2"}
	if diff := cmp.Diff(want, dump(t, l)); diff != "" {
		t.Error(diff)
	}
	do(t, l.Close())
	l = open(t, fs, o)
	if diff := cmp.Diff(want, dump(t, l)); diff != "" {
		t.Error(diff)
	}
	do(t, l.DeleteRange(1, 7), l.Close())
	l = open(t, fs, o)
	if got := dump(t, l); got != nil {
		t.Error(got)
	}
	do(t, l.StoreLogs(entries(100, 101, 3)), l.Close()) // after a snapshot: the log begins elsewhere
	l = open(t, fs, o)
	if diff := cmp.Diff([]string{"100@3", "101@3"}, dump(t, l)); diff != "" {
		t.Error(diff)
	}
	do(t, l.Close())
}

func TestLog_SegmentsOfARemovedFrontAreUsedAgain(t *testing.T) {
	fs := fresh(t)
	o := Options{SegmentBytes: 1000}
	l := open(t, fs, o)
	next := uint64(1)
	for range 100 {
		do(t, l.StoreLogs(entries(next, next+9, 1)))
		next += 10
		if next > 31 {
			do(t, l.DeleteRange(1, next-31))
		}
	}
	names, err := fs.List("log")
	do(t, err)
	if len(names) > spareMax+5 {
		t.Errorf("%d files: %v", len(names), names)
	}
	do(t, l.Close())
	l = open(t, fs, o)
	if got := dump(t, l); got[len(got)-1] != "1000@1" || len(got) < 30 {
		t.Error(got)
	}
	do(t, l.Close())
}

func TestLog_MisuseIsRefused(t *testing.T) {
	fs := fresh(t)
	l := open(t, fs, Options{})
	do(t, l.StoreLogs(entries(1, 9, 1)))
	if err := l.StoreLogs(entries(11, 12, 1)); err == nil {
		t.Error("a hole was stored")
	}
	if err := l.StoreLogs(entries(9, 10, 2)); err == nil {
		t.Error("an entry was stored twice")
	}
	if err := l.DeleteRange(3, 5); err == nil {
		t.Error("the middle was removed")
	}
	do(t, l.DeleteRange(10, 20), l.DeleteRange(5, 4), l.Close())
	r := open(t, fs, Options{ReadOnly: true})
	if r.StoreLogs(entries(10, 10, 1)) == nil || r.DeleteRange(1, 2) == nil || r.DeleteRange(9, 9) == nil {
		t.Error("a log that was opened for reading was changed")
	}
	if got := dump(t, r); len(got) != 9 {
		t.Error(got)
	}
	do(t, r.Close())
}

// failing fails the n-th sync of a file.
type failing struct {
	vfs.FS
	syncs *int
}

type failingFile struct {
	vfs.File
	syncs *int
}

func (f failing) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return failingFile{file, f.syncs}, err
}

func (f failingFile) SyncData() error {
	if *f.syncs--; *f.syncs < 0 {
		return errors.New("input/output error")
	}
	return f.File.SyncData()
}

func TestLog_TakesNothingAfterAFailedSync(t *testing.T) {
	good := 2 // the first segment's header, and one append
	l := open(t, failing{fresh(t), &good}, Options{})
	do(t, l.StoreLogs(entries(1, 1, 1)))
	if err := l.StoreLogs(entries(2, 2, 1)); err == nil {
		t.Fatal("no error")
	}
	good = 1000 // the disk seems well again
	if err := l.StoreLogs(entries(2, 2, 1)); !errors.Is(err, errFailed) {
		t.Errorf("error %v", err)
	}
	if last, _ := l.LastIndex(); last != 1 {
		t.Errorf("the log ends at %d", last)
	}
}

func TestSegmentNumber(t *testing.T) {
	if n, ok := segmentNumber(segmentName(0x1f)); !ok || n != 0x1f {
		t.Error(n, ok)
	}
	for _, name := range []string{"log.db", "1f.wal", "000000000000001f.wal.tmp", "x00000000000001f.wal"} {
		if n, ok := segmentNumber(name); ok {
			t.Error(name, n)
		}
	}
}

// The bytes of a log are those of today: change the version when you change them.
func TestFormat_IsPinned(t *testing.T) {
	fs := fresh(t)
	l := open(t, fs, Options{})
	do(t, l.StoreLog(&raft.Log{Index: 5, Term: 2, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("x"), AppendedAt: time.Unix(0, 77)}))
	do(t, l.DeleteRange(5, 5), l.Close())
	f, err := fs.Open("log/" + segmentName(1))
	do(t, err)
	content := make([]byte, 3*headerBytes+5)
	_, err = f.ReadAt(content, 0)
	do(t, err)
	want := "3d37ac40" + "01020100" + "0100000000000000" + "0000000000000000" + "0000000000000000" + "00000000" + "00000000" + "00000000" + "00000000" +
		"74846cc9" + "02000100" + "0500000000000000" + "0200000000000000" + "4d00000000000000" + "04000000" + "01000000" + "46e52a88" + "3d37ac40" + "6461746178" +
		"87f68c19" + "03000100" + "0000000000000000" + "0000000000000000" + "0000000000000000" + "00000000" + "00000000" + "00000000" + "74846cc9"
	if got := fmt.Sprintf("%x", content); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f, err = fs.Open("log/" + markName)
	do(t, err)
	mark := make([]byte, markBytes)
	_, err = f.ReadAt(mark, 0)
	do(t, err)
	want = "e7ccdca1" + "01000000" + "0100000000000000" + "9500000000000000"
	if got := fmt.Sprintf("%x", mark); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOpen_ALogOfFormat1IsNoDamage(t *testing.T) {
	fs := fresh(t)
	f, err := fs.Create("log/"+segmentName(1), vfs.WriteCategoryUnspecified)
	do(t, err)
	first, err := hex.DecodeString("14b822d401010100" + "0100000000000000" + strings.Repeat("00", 28))
	do(t, err)
	_, err = f.Write(first)
	do(t, err, f.Close())
	if _, err := Open(fs, "log", Options{}); err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "has format 1") {
		t.Errorf("error %v", err)
	}
}
