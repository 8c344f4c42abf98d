package fsm

import (
	"testing"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// TestFingerprint_WhatChangesFromCaseToCaseDoesNotCount: errors that differ only in numbers, hex, ids and quoted
// words are one group; other words, types and places of a panic are other groups.
func TestFingerprint_WhatChangesFromCaseToCaseDoesNotCount(t *testing.T) {
	of := func(message string) uint64 { return fingerprint(&fsmpb.Error{Type: "T", Message: message}) }
	for _, same := range [][2]string{
		{"row 17 of 90", "row 4 of 1000"},
		{"at 0xc000123abc", "at 0xdeadbeef42"},
		{"job 01M84PEZR5EF0W0GGJAB0NRVVH died", "job 01M84PEZTTQ9DAHKCG7B2AEHYV died"},
		{"object 9f1c2b34-aa00-4c1d-8e2f-0123456789ab", "object 1b4e28ba-2fa1-11d2-883f-0016d3cca427"},
		{`no customer "anna"`, `no customer "otto meier"`},
		{"no customer 'anna'", "no customer 'otto'"},
		{"no column `a`", "no column `b`"},
		{"dial 10.0.0.1:80: refused", "dial 192.168.7.12:8443: refused"},
	} {
		if of(same[0]) != of(same[1]) {
			t.Errorf("%q and %q are two groups: %q, %q", same[0], same[1], stripped(same[0]), stripped(same[1]))
		}
	}
	for _, other := range [][2]string{
		{"row 17 is bad", "row 17 is worse"},
		{"can't open the file", "can't close the file"},
		{`an open quote "a`, `an open quote "b`},
		{"", "x"},
	} {
		if of(other[0]) == of(other[1]) {
			t.Errorf("%q and %q are one group", other[0], other[1])
		}
	}
	if fingerprint(&fsmpb.Error{Type: "A", Message: "m"}) == fingerprint(&fsmpb.Error{Type: "B", Message: "m"}) {
		t.Error("two types are one group")
	}
	if fingerprint(&fsmpb.Error{Type: "ab", Message: "c"}) == fingerprint(&fsmpb.Error{Type: "a", Message: "bc"}) {
		t.Error("the parts run together")
	}
	if fingerprint(&fsmpb.Error{}) == 0 {
		t.Error("0 means any")
	}
}

// TestFingerprint_FirstFrameIsWhatPanicked: not the runtime, not who recovered, and without arguments.
func TestFingerprint_FirstFrameIsWhatPanicked(t *testing.T) {
	const recovered = "goroutine 41 [running]:\nruntime/debug.Stack()\n\t/go/src/runtime/debug/stack.go:26 +0x5e\n" +
		"example.com/sdk.run.func1()\n\t/x/sdk/run.go:80 +0x65\npanic({0x104f20, 0x140001})\n\t/go/src/runtime/panic.go:783 +0x120\n"
	for stack, want := range map[string]string{
		recovered + "runtime.goPanicIndex(0x5, 0x3)\n\t/go/p.go:1 +0x1\nexample.com/shop.(*Cart).Total(0xc00012, 0x7)\n\t/x/cart.go:9": "example.com/shop.(*Cart).Total",
		recovered + "example.com/shop.Charge({0xc0001, 0x3}, 0x7)\n\t/x/charge.go:9":                                                   "example.com/shop.Charge",
		recovered + "example.com/shop.inlined(...)\n\t/x/charge.go:9":                                                                  "example.com/shop.inlined",
		"  at charge (shop.js:17)\n  at main":                                                                                          "  at charge (shop.js:#)",
		"":                                                                                                                             "",
	} {
		if want == "  at charge (shop.js:#)" {
			want = stripped("  at charge (shop.js:99)")
		}
		if got := firstFrame(stack); got != want {
			t.Errorf("first frame %q, want %q, of\n%s", got, want, stack)
		}
	}
	a := fingerprint(&fsmpb.Error{Type: "panic", Message: "m", Stack: recovered + "main.a(0x1)\n\t/x.go:1"})
	b := fingerprint(&fsmpb.Error{Type: "panic", Message: "m", Stack: recovered + "main.a(0x2)\n\t/x.go:2"})
	c := fingerprint(&fsmpb.Error{Type: "panic", Message: "m", Stack: recovered + "main.c(0x1)\n\t/x.go:1"})
	if a != b || a == c {
		t.Errorf("groups %x %x %x: a function is a group, its arguments and lines are not", a, b, c)
	}
}
