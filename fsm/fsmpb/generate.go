// Package fsmpb holds the generated protobuf messages of the replicated log: no behaviour.
// command.proto beside this file is the reference.
package fsmpb
