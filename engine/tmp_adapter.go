package engine

import "github.com/fanfold/fanfold/fsm"

func taskOf(fsm.Revoke) fsm.TaskRef { return fsm.TaskRef{} }
