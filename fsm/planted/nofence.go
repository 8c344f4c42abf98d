//go:build bug_nofence

package planted

const bug = "nofence"
