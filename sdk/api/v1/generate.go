// Package apiv1 holds the generated protobuf messages of a Fanfold node's API: no behaviour.
// fanfold.proto beside this file is the reference.
package apiv1

//go:generate sh -c "cd ../../.. && buf generate"
