//go:build bug_joinonce

package planted

const bug = "joinonce"
