// Package demo counts and indexes the words of a folder on a cluster of real processes, kills one of
// them on the way, and then checks the answer as hard as it can:
//
//   - against a plain sequential run of other code in this process,
//   - against tr, sort and uniq where the machine has them and the folder is not large,
//   - the state hashes of all nodes against one another, at one log index,
//   - and those against a replay of one node's log into an empty directory.
//
// Any difference is an error.
package demo
