package workload

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// registerModel is one register, as clients may take it. An operation's answer may be "": nobody heard it.
var registerModel = porcupine.Model{
	Init: func() any { return absent },
	Step: func(state, input, output any) (bool, any) {
		held, op, answer := state.(string), input.(history.Op), output.(string)
		is := func(want string) bool { return answer == "" || answer == want }
		switch op.Kind {
		case opRead:
			return is(held), held
		case opWrite:
			return is(op.Value), op.Value
		case opCreate:
			if held != absent {
				return is(existing), held
			}
			return is(created), running
		}
		switch {
		case held == absent:
			return is(notFound), held
		case op.Kind == opCancel && held == running:
			return is(canceled), canceled + ":" + op.Value
		case op.Kind == opCancel: // canceled before: that holds
			return is(canceled), held
		case held == running:
			return is(notEnded), held
		}
		return is(running), running // a retry of a canceled job
	},
	DescribeOperation: func(input, output any) string {
		op := input.(history.Op)
		answer := cmp.Or(output.(string), "? (in the log)")
		return fmt.Sprintf("%s %s(%s) → %s", op.Node, op.Kind, op.Value, answer)
	},
	DescribeState: func(state any) string { return state.(string) },
}

// linearizable looks for an order of the operations on one register in which each has the answer that it had. When
// there is none, or none was found in time, it draws the operations as an HTML page into dir.
func linearizable(key string, ops []history.Op, timeout time.Duration, dir string) (violation string) {
	clients := map[string]int{}
	var list []porcupine.Operation
	for _, op := range ops {
		id, ok := clients[op.Client]
		if !ok {
			id = len(clients)
			clients[op.Client] = id
		}
		list = append(list, porcupine.Operation{ClientId: id, Input: op, Call: int64(op.Begin), Output: op.Answer, Return: int64(op.End)})
	}
	// The checker finds an order sooner when it is given one that is near it.
	slices.SortStableFunc(list, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	verdict, info := porcupine.CheckOperationsVerbose(registerModel, list, timeout)
	if verdict == porcupine.Ok {
		return ""
	}
	violation = fmt.Sprintf("key %s: its %d operations have no order in which each has the answer that it had", key, len(ops))
	if verdict == porcupine.Unknown {
		violation = fmt.Sprintf("key %s: no order of its %d operations was found in %v, nor that there is none", key, len(ops), timeout)
	}
	page := filepath.Join(dir, "register-"+strings.ReplaceAll(key, "/", "-")+".html")
	if err := porcupine.VisualizePath(registerModel, info, page); err != nil {
		return violation + "; they could not be drawn: " + err.Error()
	}
	return violation + ": see " + page
}
