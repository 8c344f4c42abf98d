//go:build bug_maporder

package planted

const bug = "maporder"
