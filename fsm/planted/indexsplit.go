//go:build bug_indexsplit

package planted

const bug = "indexsplit"
