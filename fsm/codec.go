package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// FormatEntry is the first byte of every log entry: the version of what follows. A node that meets
// another stops (exit code 73): skipping an entry would make it diverge.
const FormatEntry = 2

// ErrFormat is returned for a log entry or a record that this binary is too old (or too new) to read.
var ErrFormat = errors.New("fsm: unknown format: run the version of fanfold that wrote this data, or a newer one")

// EncodeEntry makes the data of a log entry. nowMS is the proposer's clock in unix milliseconds.
func EncodeEntry(nowMS int64, cmds []*fsmpb.Command) ([]byte, error) {
	b := AppendHeader(nil, nowMS)
	for _, c := range cmds {
		var err error
		if b, err = AppendCommand(b, c); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// AppendHeader begins an entry: the format byte and the proposer's clock in unix milliseconds.
func AppendHeader(b []byte, nowMS int64) []byte {
	b = append(b, FormatEntry)
	if nowMS == 0 {
		return b
	}
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(nowMS))
}

// AppendCommand adds a command to an entry. The bytes do not depend on what is before them, so
// commands can be encoded where they are made and gathered into an entry later.
func AppendCommand(b []byte, c *fsmpb.Command) ([]byte, error) {
	size := proto.Size(c)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b, err := proto.MarshalOptions{UseCachedSize: true, Deterministic: true}.MarshalAppend(b, c)
	if err != nil {
		return nil, fmt.Errorf("fsm: encode command: %w", err)
	}
	return b, nil
}

// DecodeEntry reads what EncodeEntry wrote.
func DecodeEntry(data []byte) (*fsmpb.Entry, error) {
	if len(data) == 0 || data[0] != FormatEntry {
		return nil, ErrFormat
	}
	e := new(fsmpb.Entry)
	if err := proto.Unmarshal(data[1:], e); err != nil {
		return nil, fmt.Errorf("fsm: decode entry: %w", err)
	}
	return e, nil
}

// Records are hand-laid: a version byte, then varints and byte strings in a fixed order. The naive
// way, protobuf, costs 0.6-1 us and 4-20 allocations a record, ten times this, several times per
// task on every replica (docs/performance.md). The price: a field can only be added at the end, under
// a new version, and golden bytes in testdata/records.golden pin each record.
const recordVersion = 2 // docs/decisions/0016-format-2.md

type enc []byte

// encodeCount is a record that is one number.
func encodeCount(n uint64) []byte {
	e := newEnc(11)
	e.uint(n)
	return e
}

func decodeCount(what string, b []byte) uint64 {
	d := newDec(what, b)
	n := d.uint()
	d.end()
	return n
}

func newEnc(size int) enc { return append(make(enc, 0, size), recordVersion) }

func (e *enc) uint(v uint64)  { *e = binary.AppendUvarint(*e, v) }
func (e *enc) int(v int64)    { *e = binary.AppendVarint(*e, v) }
func (e *enc) byte(v byte)    { *e = append(*e, v) }
func (e *enc) raw(b []byte)   { *e = append(*e, b...) }
func (e *enc) bytes(b []byte) { e.uint(uint64(len(b))); e.raw(b) }
func (e *enc) str(s string)   { e.uint(uint64(len(s))); *e = append(*e, s...) }
func (e *enc) fence(f Fence)  { e.uint(f.Index); e.uint(uint64(f.Pos)) }

func (e *enc) bool(v bool) {
	if v {
		e.byte(1)
	} else {
		e.byte(0)
	}
}

func (e *enc) uints(v []uint64) {
	e.uint(uint64(len(v)))
	for _, x := range v {
		e.uint(x)
	}
}

func (e *enc) strs(v []string) {
	e.uint(uint64(len(v)))
	for _, s := range v {
		e.str(s)
	}
}

func (e *enc) list(v [][]byte) {
	e.uint(uint64(len(v)))
	for _, b := range v {
		e.bytes(b)
	}
}

// dec reads what enc wrote. The first problem sticks; end reports it.
type dec struct {
	b    []byte
	what string
	bad  bool
}

func newDec(what string, b []byte) *dec {
	d := &dec{b: b, what: what}
	if d.byte() != recordVersion {
		d.bad = true
	}
	return d
}

func (d *dec) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) byte() byte {
	if b := d.raw(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *dec) bool() bool { return d.byte() != 0 }

func (d *dec) raw(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad = true
		d.b = nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *dec) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	return d.raw(int(n))
}

func (d *dec) str() string  { return string(d.bytes()) }
func (d *dec) u32() uint32  { return uint32(d.uint()) }
func (d *dec) fence() Fence { return Fence{Index: d.uint(), Pos: d.u32()} }

func (d *dec) uints() []uint64 {
	n := d.uint()
	if n == 0 || n > uint64(len(d.b)) {
		d.bad = d.bad || n != 0
		return nil
	}
	v := make([]uint64, n)
	for i := range v {
		v[i] = d.uint()
	}
	return v
}

// strs and list return copies.
func (d *dec) strs() (v []string) {
	for n := d.uint(); n > 0 && !d.bad; n-- {
		v = append(v, d.str())
	}
	return v
}

func (d *dec) list() (v [][]byte) {
	for n := d.uint(); n > 0 && !d.bad; n-- {
		v = append(v, bytes.Clone(d.bytes()))
	}
	return v
}

// end panics with a fault if the record could not be read: the store is damaged or newer.
func (d *dec) end() {
	if d.bad {
		panic(fault{fmt.Errorf("fsm: %s record: %w", d.what, ErrFormat)})
	}
}

// fault is a failure of this machine, not of the command: the disk, a damaged record. It travels by
// panic from where it happens to Apply, as in encoding/json, so that the logic reads straight down;
// Apply returns it as an error, and the node stops, because going on would diverge.
type fault struct{ err error }
