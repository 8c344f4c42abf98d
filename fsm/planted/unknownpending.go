//go:build bug_unknownpending

package planted

const bug = "unknownpending"
