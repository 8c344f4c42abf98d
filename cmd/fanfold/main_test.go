package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
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
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":    scriptCode,
			"node":    scriptNode,
			"stop":    scriptStop,
			"save":    scriptSave,
			"words":   scriptWords,
			"workers": scriptWorkers,

			"bigfile":    scriptBigFile,
			"counts":     scriptCounts,
			"samecounts": scriptSameCounts,
			"samehash":   scriptSameHash,
		},
		Condition: func(condition string) (bool, error) {
			if condition == "race" {
				return raceEnabled, nil
			}
			return false, errors.New("unknown condition " + condition)
		},
	})
}

// code N COMMAND...: the command must end with the exit code N.
func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want := mustInt(ts, args[0])
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		got = failed.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// node: starts a node with its data in $WORK/node, waits until it leads, and sets FANFOLD_ADDR.
func scriptNode(ts *testscript.TestScript, neg bool, args []string) {
	cluster, err := procs.NewCluster(ts.MkAbs("."), 1, "")
	ts.Check(err)
	node := cluster.Nodes[0]
	cmd := exec.Command(fanfold(ts), "server", "--id", node.ID, "--data", ts.MkAbs("node"), "--api", node.API, "--raft", node.Raft)
	logs, err := os.Create(ts.MkAbs("node.log"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = logs, logs
	ts.Check(cmd.Start())
	ts.Check(logs.Close())
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	*ts.Value("node").(*scriptedNode) = scriptedNode{cmd.Process, done}
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	ts.Setenv("FANFOLD_ADDR", node.API)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if status, err := cluster.StatusAt(ctx, node.API); err == nil && status.GetLeaderId() == node.ID {
			return
		}
		select {
		case <-done:
			ts.Fatalf("the node ended:\n%s", ts.ReadFile("node.log"))
		case <-ctx.Done():
			ts.Fatalf("the node does not lead:\n%s", ts.ReadFile("node.log"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// scriptedNode is the process that the script's command node started.
type scriptedNode struct {
	process *os.Process
	done    chan struct{}
}

// stop: asks the node that the command node started to stop, and waits.
func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	node := ts.Value("node").(*scriptedNode)
	ts.Check(node.process.Signal(os.Interrupt))
	<-node.done
}

// workers N: waits until so many workers are connected.
func scriptWorkers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: workers N")
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		ts.Check(ts.Exec("fanfold", "worker", "list"))
		if strings.Count(ts.ReadFile("stdout"), " open ") == mustInt(ts, args[0]) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("there are not %s workers", args[0])
}

func mustInt(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// save NAME: sets a variable to the last standard output, without the line break.
func scriptSave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: save NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// words DIR N: writes N KiB of text, in a few files, to a folder.
func scriptWords(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: words DIR KIB")
	}
	kib := mustInt(ts, args[1])
	line := "The quick brown fox's 2 cubs jump over naïve dogs_and-Cats; the end "
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	for n := range 4 {
		var text strings.Builder
		for i := 0; text.Len() < kib<<10/4; i++ {
			text.WriteString(line)
			text.WriteString(strings.Repeat("x", (i*7+n)%23))
			text.WriteString("\n")
		}
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "text"+strconv.Itoa(n)), []byte(text.String()), 0o644))
	}
}

// bigfile NAME BYTES: writes a JSON string of about so many bytes.
func scriptBigFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bigfile NAME BYTES")
	}
	size := mustInt(ts, args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(`"`+strings.Repeat("x", size)+`"`), 0o644))
}

// samehash HASHES REPLAY: every hash that a node printed is in what a replay printed, at the same index.
func scriptSameHash(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: samehash HASHES REPLAY")
	}
	replayed := make(map[string]string)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if fields := strings.Fields(line); len(fields) == 2 {
			replayed[fields[0]] = fields[1]
		}
	}
	compared := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] == "NODE" {
			continue
		}
		if replayed[fields[1]] != fields[2] {
			ts.Fatalf("at index %s the node had %s and the replay gives %q", fields[1], fields[2], replayed[fields[1]])
		}
		compared++
	}
	if compared == 0 {
		ts.Fatalf("no hash was compared")
	}
}

// counts NAME N: writes a list of one word count with N words.
func scriptCounts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: counts NAME N")
	}
	words := mustInt(ts, args[1])
	counts := make(map[string]uint64)
	for n := range words {
		counts["word"+strconv.Itoa(n)] = uint64(n + 1)
	}
	document, err := json.Marshal([]map[string]uint64{counts})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), document, 0o644))
}

// samecounts LIST RESULT: the result is the only item of the list.
func scriptSameCounts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: samecounts LIST RESULT")
	}
	var list []map[string]uint64
	var result map[string]uint64
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &list))
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &result))
	if !maps.Equal(list[0], result) {
		ts.Fatalf("%d counts became %d others", len(list[0]), len(result))
	}
}

// fanfold is the path of the command under test.
func fanfold(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, "fanfold")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("fanfold is not in PATH")
	return ""
}
