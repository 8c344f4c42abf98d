//go:build bug_rescue

package planted

const bug = "rescue"
