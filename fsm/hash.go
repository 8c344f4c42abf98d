package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// hash computes the state hash of this very index beside further applies.
func (m *Machine) hash(index uint64) {
	if m.opts.OnHash == nil {
		return
	}
	snap := m.db.NewSnapshot()
	m.opts.Background(func() {
		h := hashOf(disk{snap})
		must(snap.Close())
		m.opts.OnHash(HashResult{Index: index, Hash: h})
	})
}

// Hash is the hash of the last committed state. It reads everything.
func (m *Machine) Hash() (h string, err error) {
	defer catch(&err)
	snap := m.db.NewSnapshot()
	defer snap.Close()
	return hashOf(disk{snap}), nil
}

// hashOf is the SHA-256 over all keys and values in key order, but for Raft's configuration, which a
// replay from another log does not have.
func hashOf(d disk) string {
	s := newStateHash()
	d.scan([]byte{0}, []byte{0xff}, func(k, v []byte) bool {
		s.add(k, v)
		return true
	})
	return s.sum()
}

type stateHash struct{ h hash.Hash }

func newStateHash() stateHash { return stateHash{sha256.New()} }

func (s stateHash) add(k, v []byte) {
	if k[0] == tagConf {
		return
	}
	var n [8]byte
	binary.BigEndian.PutUint32(n[:4], uint32(len(k)))
	binary.BigEndian.PutUint32(n[4:], uint32(len(v)))
	s.h.Write(n[:])
	s.h.Write(k)
	s.h.Write(v)
}

func (s stateHash) sum() string { return hex.EncodeToString(s.h.Sum(nil)) }
