//go:build bug_sharedverify

package planted

const bug = "sharedverify"
