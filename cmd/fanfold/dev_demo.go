package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/demo"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/progress"
)

// devDemo runs the demo.
func (a *app) devDemo(ctx context.Context, f devFlags, dir string, args []string) error {
	victim := demo.Victim(f.kill)
	if err := victim.Check(); err != nil {
		return exit.With(exit.Usage, "", err)
	}
	if f.rounds < 1 || f.workers < 1 {
		return exit.Usagef("--rounds and --workers are at least 1")
	}
	if victim == demo.Follower && f.nodes == 1 {
		return exit.Usagef("--kill follower needs --nodes 3")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return exit.With(exit.Conflict, "name another folder by --data", fmt.Errorf("the demo needs an empty folder and %s has files in it", dir))
	}
	path, err := demoPath(ctx, args)
	if err != nil {
		return err
	}
	return demo.Run(ctx, progress.New(a.out), demo.Config{
		Path: path, Dir: dir, Nodes: f.nodes, Workers: f.workers, Kill: victim, Rounds: f.rounds, Seed: f.seed,
		LeaseTTL: f.ttl, Replay: replay,
	})
}

// demoPath is the folder given, or Go's own source tree.
func demoPath(ctx context.Context, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	//lint:ignore SA1019 the go command is asked first
	root := runtime.GOROOT() // known to a binary that was not built with -trimpath
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		root = strings.TrimSpace(string(out))
	}
	path := filepath.Join(root, "src")
	if _, err := os.Stat(path); root == "" || err != nil {
		return "", exit.With(exit.Usage, "name a folder of text: fanfold dev --nodes 3 --demo PATH",
			fmt.Errorf("the source tree of Go, which the demo reads by default, is not on this machine"))
	}
	return path, nil
}
