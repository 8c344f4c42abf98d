//go:build bug_keyfirst

package planted

const bug = "keyfirst"
