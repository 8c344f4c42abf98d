//go:build bug_freeattempt

package planted

const bug = "freeattempt"
