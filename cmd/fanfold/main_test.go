package main

import (
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fanfold": main})
}

// TestScripts runs the scripts in testdata against the real command. Each script that needs a node
// starts one of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TMPDIR", env.WorkDir)
			env.Values["node"] = &scriptedNode{}
			env.Values["receiver"] = new(atomic.Int32)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":    scriptCode,
			"node":    scriptNode,
			"stop":    scriptStop,
			"save":    scriptSave,
			"words":   scriptWords,
			"workers": scriptWorkers,

			"receiver":   scriptReceiver,
			"post":       scriptPost,
			"eventually": scriptEventually,

			"bigfile":    scriptBigFile,
			"counts":     scriptCounts,
			"samecounts": scriptSameCounts,
			"samehash":   scriptSameHash,
		},
	})
}
