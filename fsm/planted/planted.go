// Package planted names the bugs that can be planted in Fanfold to test what tests it: the bug bank of
// jepsen-lite. A binary built with the tag bug_<name> has that one bug. Without such a tag every constant here
// is false, and the compiler removes all that depends on it; a test looks into the release binaries. To go through
// the bank without a build for every bug there is a further tag, bug_chosen: then the environment says which it is.
//
// In the product a bug is one line, `if planted.<Name>`, at the place where the correct code stands. Two tags at
// once do not compile.
package planted

// Environment is the variable that names the bug in a binary built with the tag bug_chosen.
const Environment = "FANFOLD_PLANTED_BUG"
