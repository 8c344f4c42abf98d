package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
)

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

// node [FLAG...]: starts a node with its data in $WORK/node, waits until it leads, and sets FANFOLD_ADDR.
func scriptNode(ts *testscript.TestScript, neg bool, args []string) {
	cluster, err := procs.NewCluster(ts.MkAbs("."), 1, "")
	ts.Check(err)
	node := cluster.Nodes[0]
	cmd := exec.Command(fanfold(ts), "server", "--id", node.ID, "--data", ts.MkAbs("node"), "--api", node.API, "--raft", node.Raft)
	cmd.Args = append(cmd.Args, args...)
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
