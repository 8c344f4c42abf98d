//go:build bug_cancelgrants

package planted

const bug = "cancelgrants"
