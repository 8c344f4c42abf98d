//go:build bug_lostwake

package planted

const bug = "lostwake"
