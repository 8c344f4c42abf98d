//go:build bug_noparents

package planted

const bug = "noparents"
