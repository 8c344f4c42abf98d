//go:build bug_chunklost

package planted

const bug = "chunklost"
