//go:build bug_staleread

package planted

const bug = "staleread"
