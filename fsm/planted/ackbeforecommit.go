//go:build bug_ackbeforecommit

package planted

const bug = "ackbeforecommit"
