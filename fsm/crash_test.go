package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCrash_StateIsAPrefixOfTheLog loses power at every step of a history, with a random part of
// what was not synced, and begins again from what is left: the state has to be that after some entry,
// at or after the last Flush, and the rest of the log has to lead to the same hash as ever.
// (decisions/0003: this test decides about Pebble's own log.)
func TestCrash_StateIsAPrefixOfTheLog(t *testing.T) {
	for _, noWAL := range []bool{false, true} {
		t.Run(fmt.Sprint("DisableWAL=", noWAL), func(t *testing.T) {
			for seed := range uint64(40) {
				crashOnce(t, noWAL, seed)
			}
		})
	}
}

func crashOnce(t *testing.T, noWAL bool, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	open := func(fs vfs.FS) *Machine {
		m, err := Open(fs, "state", Options{DisableWAL: noWAL, CheckInvariants: true})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return m
	}
	if err := fs.MkdirAll("state", 0o755); err != nil {
		t.Fatal(err)
	}
	log := crashLog(t)
	hashes := hashAfterEach(t, log)
	m := open(fs)
	var promised uint64
	crashAt := 1 + rng.IntN(len(log)-1)
	for _, e := range log[:crashAt] {
		if _, err := m.Apply([]LogEntry{e}); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(4) == 0 {
			w, err := m.Flush()
			if err != nil {
				t.Fatal(err)
			}
			promised = w.Index
		}
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(crashed)
	defer m.Close()
	index, _ := m.Applied()
	if index < promised || index > uint64(crashAt) {
		t.Fatalf("seed %d: after the crash the state is at %d; %d was flushed, %d applied", seed, index, promised, crashAt)
	}
	if got, _ := m.Hash(); got != hashes[index] {
		t.Fatalf("seed %d: the state is at index %d with another hash", seed, index)
	}
	if f := m.Flushed(); f.Index != index {
		t.Fatalf("seed %d: opened at %d, promises %d", seed, index, f.Index)
	}
	if _, err := m.Apply(log); err != nil { // entries at or below the applied index are skipped
		t.Fatal(err)
	}
	if got, _ := m.Hash(); got != hashes[len(log)] {
		t.Fatalf("seed %d: the log leads elsewhere after the crash", seed)
	}
}

// crashLog is a history with jobs, maps, failures, blobs and purges.
func crashLog(t *testing.T) []LogEntry {
	h := newHarness(t)
	h.m.opts.CheckInvariants = false
	up, v := upload("big", make600k())
	h.apply(openWorker("w", 3, "t", "u", "sum"))
	for i := range 6 {
		c := submit(fmt.Sprint("j", i), graphs(t)[i%6], `[1,2,3]`)
		h.apply(c)
	}
	for _, u := range up {
		h.apply(u)
	}
	c := submit("big", graphs(t)[0], "")
	c.GetSubmitJob().Input = v
	h.apply(c)
	held := append([]Grant(nil), h.grantsOf(t, 1)...)
	for n := 0; n < 60 && len(held) > 0; n++ {
		g := held[0]
		held = held[1:]
		var r *Result
		if n%7 == 3 {
			r = h.apply(failure(g, "x", false))
			h.now += 200
			held = append(held, h.apply().Grants...)
		} else {
			r = h.apply(complete(g, `[1]`))
		}
		held = append(held, r.Grants...)
	}
	for i := range 6 {
		h.apply(cancel(jobID(fmt.Sprint("j", i))), purge(jobID(fmt.Sprint("j", i))))
	}
	return h.log
}

func make600k() []byte {
	b := make([]byte, 600_000)
	for i := range b {
		b[i] = '1'
	}
	return b
}

func (h *harness) grantsOf(t *testing.T, session uint64) []Grant {
	v := h.m.View()
	defer v.Close()
	g, _, err := v.Leases(session)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func hashAfterEach(t *testing.T, log []LogEntry) []string {
	m, err := Open(vfs.NewMem(), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	first, _ := m.Hash()
	hashes := []string{first}
	for _, e := range log {
		if _, err := m.Apply([]LogEntry{e}); err != nil {
			t.Fatal(err)
		}
		s, _ := m.Hash()
		hashes = append(hashes, s)
	}
	return hashes
}

// TestApply_SkipsWhatWasApplied: raft may hand entries again after a restart.
func TestApply_SkipsWhatWasApplied(t *testing.T) {
	h := newHarness(t)
	h.apply(submit("a", chain(t, 1), `1`))
	want, _ := h.m.Hash()
	res, err := h.m.Apply(h.log)
	if err != nil || res[0] != nil {
		t.Fatalf("%v %v", res, err)
	}
	if got, _ := h.m.Hash(); got != want {
		t.Fatal("an entry was applied twice")
	}
}

// TestApply_UnknownIsAFault: a node that does not know a format or a kind must stop.
func TestApply_UnknownIsAFault(t *testing.T) {
	for name, data := range map[string][]byte{
		"format":  {2, 0},
		"kind":    {FormatEntry, 0x12, 3, 0xfa, 0x3f, 0},
		"garbage": {FormatEntry, 0xff},
		"empty":   nil,
	} {
		h := newHarness(t)
		if _, err := h.m.Apply([]LogEntry{{Index: 1, Term: 1, Data: data}}); err == nil {
			t.Errorf("%s was applied", name)
		}
	}
}
