//go:build bug_uniquefree

package planted

const bug = "uniquefree"
