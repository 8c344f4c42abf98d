package inside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
)

const module = "github.com/fanfold/fanfold"

// Built says that this very binary has the faults: package inject sets it.
var Built bool

// ProbeCommand is a hidden command of jepsen-lite that only a binary with the faults has.
const ProbeCommand = "faults"

// made is the binary that this process has built, so that many runs build once.
var made struct {
	sync.Mutex
	path string
}

// Build builds a jepsen-lite with the faults into dir, with the build tags of this binary beside, and
// returns its path; a second call returns the same. It needs the go command and the module's source,
// which are there where `go run ./jepsen-lite` was typed.
func Build(ctx context.Context, dir string) (string, error) {
	made.Lock()
	defer made.Unlock()
	if made.path != "" {
		if _, err := os.Stat(made.path); err == nil {
			return made.path, nil
		}
	}
	path := filepath.Join(dir, "node")
	if err := BuildWith(ctx, tags(), path); err != nil {
		return "", fmt.Errorf("%w (or build it there, go build -tags chaos -o node ./jepsen-lite, and say --node-binary node)", err)
	}
	made.path = path
	return path, nil
}

// BuildWith builds a jepsen-lite with build tags, separated by commas. It needs the go command and the
// module's source around the working directory.
func BuildWith(ctx context.Context, tags, path string) error {
	var source bytes.Buffer
	find := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	find.Stdout = &source
	if err := find.Run(); err != nil || strings.TrimSpace(source.String()) == "" {
		return fmt.Errorf("it is built from the source of %s, which is not found here: run this in a checkout of it", module)
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", path, "./jepsen-lite")
	build.Dir = strings.TrimSpace(source.String())
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build it: %w\n%s", err, out)
	}
	return nil
}

// tags are this binary's own build tags, and chaos.
func tags() string {
	all := "chaos"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" && s.Value != "" {
				all += "," + s.Value
			}
		}
	}
	return all
}

// Probe reports whether a binary has the faults.
func Probe(ctx context.Context, binary string) error {
	var exited *exec.ExitError
	err := exec.CommandContext(ctx, binary, ProbeCommand).Run()
	if errors.As(err, &exited) {
		return fmt.Errorf("%s is built without the faults: build it with go build -tags chaos -o %s ./jepsen-lite", binary, binary)
	}
	return err
}
