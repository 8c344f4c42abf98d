//go:build bug_restless

package planted

const bug = "restless"
