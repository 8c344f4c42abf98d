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

// made are the binaries that this process has built, so that many runs build once.
var made = struct {
	sync.Mutex
	paths map[Kind]string
}{paths: map[Kind]string{}}

// Kind is what a binary is built with.
type Kind struct {
	Faults bool // the tag chaos
	Race   bool // the race detector
}

// Build builds a jepsen-lite of a kind into dir, with the build tags of this binary beside, and
// returns its path; a second call returns the same. It needs the go command and the module's source,
// which are there where `go run ./jepsen-lite` was typed.
func Build(ctx context.Context, dir string, k Kind) (string, error) {
	made.Lock()
	defer made.Unlock()
	if was := made.paths[k]; was != "" {
		if _, err := os.Stat(was); err == nil {
			return was, nil
		}
	}
	path := filepath.Join(dir, "node"+map[Kind]string{{Race: true}: "-race", {Faults: true, Race: true}: "-faults-race"}[k])
	if err := build(ctx, tags(k), path, k.Race); err != nil {
		return "", fmt.Errorf("%w (or build it there, go build -tags chaos -o node ./jepsen-lite, and say --node-binary node)", err)
	}
	made.paths[k] = path
	return path, nil
}

// BuildWith builds a jepsen-lite with build tags, separated by commas. It needs the go command and the
// module's source around the working directory.
func BuildWith(ctx context.Context, tags, path string) error { return build(ctx, tags, path, false) }

func build(ctx context.Context, tags, path string, race bool) error {
	var source bytes.Buffer
	find := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	find.Stdout = &source
	if err := find.Run(); err != nil || strings.TrimSpace(source.String()) == "" {
		return fmt.Errorf("it is built from the source of %s, which is not found here: run this in a checkout of it", module)
	}
	args := []string{"build", "-tags", tags, "-o", path}
	if race {
		args = append(args, "-race")
	}
	build := exec.CommandContext(ctx, "go", append(args, "./jepsen-lite")...)
	build.Dir = strings.TrimSpace(source.String())
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build it: %w\n%s", err, out)
	}
	return nil
}

// tags are this binary's own build tags, and chaos for one with the faults.
func tags(k Kind) string {
	all := ""
	if k.Faults {
		all = "chaos"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" && s.Value != "" {
				all = strings.Trim(all+","+s.Value, ",")
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
