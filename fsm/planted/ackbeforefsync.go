//go:build bug_ackbeforefsync

package planted

const bug = "ackbeforefsync"
