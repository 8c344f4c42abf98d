package nemesis

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// What the damaging of a log has to know of the format of cluster/wal.
const (
	segmentSuffix = ".wal"
	recordHeader  = 48
	markFile      = "synced" // 8: number of the segment, 16: how far it was acknowledged
)

var (
	boltLog  = filepath.Join("raft", "log.db")
	ownLog   = filepath.Join("raft", "log")
	leNumber = binary.LittleEndian
)

// segments are the files of a node's own log, oldest first; none: its log is in bolt.
func segments(data string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(data, ownLog, "*"+segmentSuffix))
	slices.Sort(all)
	return all, err
}

// chooseLogFile chooses a file of the log: where there are more than one, the newest half of the times.
func chooseLogFile(data string, r *rand.Rand) (string, error) {
	all, err := segments(data)
	if err != nil || len(all) == 0 {
		return boltLog, err
	}
	chosen := all[len(all)-1]
	if r.IntN(2) == 0 {
		chosen = all[r.IntN(len(all))]
	}
	return filepath.Rel(data, chosen)
}

// chooseLogPart chooses what of a log to take away: all of it, one segment, or the mark.
func chooseLogPart(data string, r *rand.Rand) (string, error) {
	all, err := segments(data)
	switch {
	case err != nil || len(all) == 0:
		return boltLog, err
	case r.IntN(3) == 0:
		return ownLog, nil
	case r.IntN(4) == 0:
		return filepath.Join(ownLog, markFile), nil
	}
	return chooseLogFile(data, r)
}

// damageSegment damages a segment of the own log. The node was killed, and the power was not lost: so whatever changes
// what the mark says was acknowledged has to be found.
func damageSegment(path string, content []byte, r *rand.Rand) (hit, error) {
	end, marked := acknowledged(path, content)
	before, size := bytes.Clone(content), len(content)
	last := lastRecord(content, end)
	// Where: anywhere, or in the last record's header or data.
	from, to := 0, end
	switch r.IntN(4) {
	case 0:
		from, to = last, min(last+recordHeader, end)
	case 1:
		from = last
	}
	at := from + r.IntN(to-from)
	var what string
	switch r.IntN(6) {
	case 0:
		content, what = content[:at], fmt.Sprintf("cut to %d of %d bytes", at, size)
	case 1:
		sector := 512 << (3 * r.IntN(2))
		at -= at % sector
		clear(content[at:min(at+sector, size)])
		what = fmt.Sprintf("%d zeros at %d", sector, at)
	case 2:
		clear(content[at:])
		what = fmt.Sprintf("zeros from %d on", at)
	case 3:
		for i := at; i < min(at+512, size); i++ {
			content[i] = byte(r.Uint32())
		}
		what = fmt.Sprintf("512 bytes of noise at %d", at)
	default:
		content[at] ^= 1 << r.IntN(8)
		what = fmt.Sprintf("a bit flipped at %d", at)
	}
	h := hit{what: fmt.Sprintf("%s; the last record is at %d to %d", what, last, end)}
	h.acknowledged = marked && !bytes.Equal(before[:end], content[:min(end, len(content))])
	return h, os.WriteFile(path, content, 0o600)
}

// acknowledged is how far a segment was acknowledged by the mark beside it; without one that is of it, how much is
// in use.
func acknowledged(path string, content []byte) (end int, marked bool) {
	mark, err := os.ReadFile(filepath.Join(filepath.Dir(path), markFile))
	if err == nil && len(mark) >= 24 && fmt.Sprintf("%016x%s", leNumber.Uint64(mark[8:]), segmentSuffix) == filepath.Base(path) {
		if end := int(leNumber.Uint64(mark[16:])); end <= len(content) {
			return end, true
		}
	}
	return usedLength(content), false
}

// lastRecord is where the record that ends at end begins; where none is found, a sector before.
func lastRecord(content []byte, end int) int {
	for at := end - recordHeader; at >= 0; at-- {
		if kind := content[at+4]; kind >= 1 && kind <= 3 && content[at+6] <= 1 && content[at+7] == 0 &&
			uint64(leNumber.Uint32(content[at+32:]))+uint64(leNumber.Uint32(content[at+36:])) == uint64(end-at-recordHeader) {
			return at
		}
	}
	return max(0, end-512)
}
