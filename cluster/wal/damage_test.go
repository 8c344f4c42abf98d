package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// damaged is a log of some segments, whose front and end were cut now and then.
type damaged struct {
	fs    *vfs.MemFS
	want  []*raft.Log // from the first one on
	last  int         // how many of them are of the last append
	ends  spot        // of the log
	tail  spot        // of the last append
	first uint64      // segment
}

func build(t *testing.T, rng *rand.Rand) *damaged {
	d := &damaged{fs: fresh(t)}
	l := open(t, d.fs, Options{SegmentBytes: 20_000})
	index, term := uint64(1), uint64(1)
	for n := 10 + rng.IntN(30); n > 0; n-- {
		if len(d.want) > 9 && rng.IntN(8) == 0 {
			cut := 1 + rng.IntN(5)
			do(t, l.DeleteRange(index-uint64(cut), index-1))
			d.want, index, term = d.want[:len(d.want)-cut], index-uint64(cut), term+1
		}
		if len(d.want) > 9 && rng.IntN(8) == 0 {
			do(t, l.DeleteRange(1, d.want[5].Index))
			d.want = d.want[6:]
		}
		d.tail = l.end()
		d.last = 1 + rng.IntN(5)
		var logs []*raft.Log
		for range d.last {
			data := make([]byte, rng.IntN(3000))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			logs = append(logs, &raft.Log{Index: index, Term: term, Data: data})
			index++
		}
		do(t, l.StoreLogs(logs))
		d.want = append(d.want, logs...)
	}
	d.ends, d.first = l.end(), l.segments[0].number
	if d.ends.segment != d.tail.segment {
		d.tail = spot{d.ends.segment, headerBytes}
	}
	if rng.IntN(2) == 0 { // else the process was killed
		do(t, l.Close())
	}
	return d
}

func (d *damaged) path(segment uint64) string { return "log/" + segmentName(segment) }

// change rewrites a file.
func (d *damaged) change(t *testing.T, path string, with func([]byte) []byte) {
	t.Helper()
	f, err := d.fs.Open(path)
	do(t, err)
	content, err := readAll(f)
	do(t, err, f.Close())
	f, err = d.fs.Create(path, vfs.WriteCategoryUnspecified)
	do(t, err)
	_, err = f.Write(with(content))
	do(t, err, f.Sync(), f.Close())
}

// check opens the log, and reports whether it is refused. Where it is not, it lacks no entry but the last `lost`.
func (d *damaged) check(t *testing.T, lost int) (refused bool) {
	t.Helper()
	l, err := Open(d.fs, "log", Options{SegmentBytes: 20_000})
	if errors.Is(err, ErrCorrupt) {
		return true
	}
	do(t, err)
	last, _ := l.LastIndex()
	if n := len(d.want); last > d.want[n-1].Index || last+uint64(lost) < d.want[n-1].Index {
		t.Fatalf("the log ends at %d of %d", last, d.want[n-1].Index)
	}
	for _, want := range d.want {
		var got raft.Log
		if err := l.GetLog(want.Index, &got); err == raft.ErrLogNotFound && (want.Index > last || want.Index < l.first) {
			continue // before: the front is in the state, or the node says that it is not
		} else if err != nil || got.Term != want.Term || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("entry %d is another one: %v", want.Index, err)
		}
	}
	return false
}

// damages are all that is done to a log. at is where, within what is used of a segment.
var damages = []struct {
	name string
	do   func(content []byte, at int64) []byte
}{
	{"a bit", func(b []byte, at int64) []byte { b[at] ^= 4; return b }},
	{"zeros", func(b []byte, at int64) []byte { clear(b[at&^511 : min(at|511, int64(len(b)))]); return b }},
	{"a page of zeros", func(b []byte, at int64) []byte { clear(b[at&^4095 : min(at|4095, int64(len(b)))]); return b }},
	{"noise", func(b []byte, at int64) []byte {
		for i := at; i < min(at+512, int64(len(b))); i++ {
			b[i] = byte(i*7) ^ b[i] ^ 0x55
		}
		return b
	}},
	{"the end cut off", func(b []byte, at int64) []byte { return b[:at] }},
	{"zeros until the end", func(b []byte, at int64) []byte { clear(b[at:]); return b }},
}

// TestDamage_WhatWasAcknowledgedIsNeverLeftOut damages a log whose process has ended, or was killed, anywhere: in
// headers, in data, in the last append. It is refused, or nothing is missing.
func TestDamage_WhatWasAcknowledgedIsNeverLeftOut(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			refused := 0
			for seed := range uint64(80) {
				rng := rand.New(rand.NewPCG(seed, 3))
				d := build(t, rng)
				segment := d.first + rng.Uint64N(d.ends.segment-d.first+1)
				from, to := int64(0), int64(4000)
				switch seed % 4 {
				case 0: // in the last append
					segment, from, to = d.ends.segment, d.tail.at, d.ends.at
				case 1: // in its header
					segment, from, to = d.ends.segment, d.tail.at, d.tail.at+headerBytes
				case 2: // in a segment's header
					to = headerBytes
				}
				if segment == d.ends.segment {
					to = min(to, d.ends.at)
				}
				at := from + rng.Int64N(to-from)
				d.change(t, d.path(segment), func(b []byte) []byte { return damage.do(b, at) })
				if d.check(t, 0) {
					refused++
				}
			}
			if refused < 70 {
				t.Errorf("%d of 80 were refused: the test does not test", refused)
			}
		})
	}
}

func TestDamage_AMissingSegmentIsRefused(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		d := build(t, rng)
		if d.first == d.ends.segment {
			continue
		}
		gone := d.first + 1 + rng.Uint64N(d.ends.segment-d.first) // without the first it is a log that begins later
		do(t, d.fs.Remove(d.path(gone)))
		if !d.check(t, 0) {
			t.Errorf("seed %d: segment %d of %d to %d is missing", seed, gone, d.first, d.ends.segment)
		}
	}
	d := build(t, rand.New(rand.NewPCG(1, 5)))
	for n := d.first; n <= d.ends.segment; n++ {
		do(t, d.fs.Remove(d.path(n)))
	}
	if !d.check(t, 0) {
		t.Error("all segments are missing")
	}
}

// A mark that is not whole, or gone, says nothing: the segments tell all but damage of the last append.
func TestDamage_WithoutTheMarkTheLastAppendAloneIsLeftOut(t *testing.T) {
	for _, spoil := range []func(t *testing.T, d *damaged){
		func(t *testing.T, d *damaged) { do(t, d.fs.Remove("log/"+markName)) },
		func(t *testing.T, d *damaged) {
			d.change(t, "log/"+markName, func(b []byte) []byte { b[9] ^= 1; return b })
		},
		func(t *testing.T, d *damaged) {
			d.change(t, "log/"+markName, func(b []byte) []byte { return b[:7] })
		},
	} {
		for _, damage := range damages[:4] { // the others take whole appends away
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 9))
				d := build(t, rng)
				spoil(t, d)
				segment := d.first + rng.Uint64N(d.ends.segment-d.first+1)
				to := int64(4000)
				if segment == d.ends.segment {
					to = d.ends.at
				}
				at := rng.Int64N(to)
				if reach := (spot{segment, at + 4096}); damage.name != "a bit" && d.tail.before(reach) {
					continue // more than one append is damaged, the last one among them
				}
				d.change(t, d.path(segment), func(b []byte) []byte { return damage.do(b, at) })
				d.check(t, d.last)
			}
		}
	}
}

// The mark that outlives a power failure is any that was ever set, and says too much of no log that was acknowledged.
func TestDamage_AnOlderMarkIsNone(t *testing.T) {
	fs := fresh(t)
	l := open(t, fs, Options{SegmentBytes: 5000})
	var marks []spot
	for i := range uint64(30) {
		do(t, l.StoreLogs(entries(1+2*i, 2+2*i, 1)))
		marks = append(marks, l.mark.last)
	}
	if !slices.IsSortedFunc(marks, func(a, b spot) int {
		if a.before(b) {
			return -1
		}
		return 1
	}) {
		t.Error(marks)
	}
	for _, old := range marks {
		do(t, l.mark.set(old))
		r, err := Open(fs, "log", Options{ReadOnly: true})
		do(t, err)
		if got := len(dump(t, r)); got != 60 {
			t.Error(fmt.Sprint(old, " ", got))
		}
		do(t, r.Close())
	}
	do(t, l.Close())
}
