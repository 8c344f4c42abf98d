// Package inject is the faults inside a node. It has no code but with the build tag chaos: a release binary
// does not contain it.
//
// Nothing in the program knows of it. It takes hold of the edges that cluster.Config has as parameters: the
// file system below the state, the stores of log and votes, the wall clock, the listener of the API.
package inject
