//go:build bug_snapskip

package planted

const bug = "snapskip"
