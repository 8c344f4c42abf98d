//go:build bug_earlystart

package planted

const bug = "earlystart"
