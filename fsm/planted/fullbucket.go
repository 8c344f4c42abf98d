//go:build bug_fullbucket

package planted

const bug = "fullbucket"
