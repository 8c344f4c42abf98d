//go:build bug_earlytimer

package planted

const bug = "earlytimer"
