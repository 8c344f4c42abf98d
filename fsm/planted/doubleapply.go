//go:build bug_doubleapply

package planted

const bug = "doubleapply"
