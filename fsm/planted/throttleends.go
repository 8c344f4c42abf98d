//go:build bug_throttleends

package planted

const bug = "throttleends"
