package fsm

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// save saves under a lease, sometimes under one that is over.
func (s *script) save(t *rapid.T) {
	g, live, ok := s.anyLease(t)
	if !ok {
		t.Skip()
	}
	slot := uint32(rapid.IntRange(0, 4).Draw(t, "slot"))
	name := ""
	if slot > 0 {
		name = fmt.Sprint("step", slot)
	}
	doc := `"` + strings.Repeat("x", rapid.IntRange(0, 300).Draw(t, "size")) + `"`
	before := s.h.m.state.Saves
	r := s.apply(save(g, slot, name, uint64(rapid.IntRange(0, 3).Draw(t, "seq")), doc))
	if !live && s.h.m.state.Saves != before {
		t.Fatal("a checkpoint was accepted under a lease that is over")
	}
	if no := r.Answers[0].Refusal; live && no != nil && no.Code != CodeConflict && no.Code != CodeCanceled {
		t.Fatal(no)
	}
}

// log logs under a lease, sometimes under one that is over.
func (s *script) log(t *rapid.T) {
	g, live, ok := s.anyLease(t)
	if !ok {
		t.Skip()
	}
	var lines []string
	for range rapid.IntRange(0, 12).Draw(t, "lines") {
		lines = append(lines, strings.Repeat("x", rapid.SampledFrom([]int{0, 10, 4000, 5000}).Draw(t, "size")))
	}
	before := s.h.m.state.LogLines
	s.apply(logLines(g, lines...))
	if !live && s.h.m.state.LogLines != before {
		t.Fatal("lines were kept under a lease that is over")
	}
}

// anyLease draws a lease, live or over.
func (s *script) anyLease(t *rapid.T) (g Grant, live, ok bool) {
	live = len(s.old) == 0 || rapid.IntRange(0, 4).Draw(t, "over") > 0
	from := s.held
	if !live {
		from = s.old
	}
	if len(from) == 0 {
		return g, live, false
	}
	return rapid.SampledFrom(from).Draw(t, "lease"), live, true
}
