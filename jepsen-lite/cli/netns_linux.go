package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
)

// inNamespace runs this very command again in a network namespace of its own, whose loopback device is up, when one
// of the nemeses needs it. done is false when there is no need, or when this is that process.
func inNamespace(ctx context.Context, names []string) (done bool, err error) {
	found, err := nemesis.Find(names)
	needs := false
	for _, n := range found {
		needs = needs || n.Namespace
	}
	if err != nil || !needs {
		return false, nil // an unknown name is refused where the run begins
	}
	if os.Getenv(nemesis.NamespaceVariable) != "" {
		if out, err := exec.CommandContext(ctx, "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			return true, &Error{CodeFailed, fmt.Errorf("ip link set lo up: %w: %s", err, strings.TrimSpace(string(out)))}
		}
		return false, nil
	}
	executable, err := os.Executable()
	if err != nil {
		return true, &Error{CodeFailed, err}
	}
	again := exec.CommandContext(ctx, executable, os.Args[1:]...)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.Env = append(os.Environ(), nemesis.NamespaceVariable+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	err = again.Run()
	var exited *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exited):
		return true, &Error{exited.ExitCode(), errors.New("the run in a network namespace of its own has ended so")}
	}
	return true, &Error{CodeFailed, fmt.Errorf("a network namespace of the run's own needs root: %w", err)}
}
