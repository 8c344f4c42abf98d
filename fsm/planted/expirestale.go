//go:build bug_expirestale

package planted

const bug = "expirestale"
