//go:build bug_swallowerror

package planted

const bug = "swallowerror"
