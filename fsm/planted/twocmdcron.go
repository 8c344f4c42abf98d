//go:build bug_twocmdcron

package planted

const bug = "twocmdcron"
