// Package child runs the processes of a cluster on this machine: nodes and workers, each an executable
// (mostly the running one) started with a sub-command, its own log file, and ports of its own.
//
// A child is given a pipe as its standard input and stops when the pipe closes (see WithParent). So
// children never outlive their parent, however it dies, and can be stopped politely on every
// operating system.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
)

// ParentFlag is the flag of the sub-commands that call WithParent.
const ParentFlag = "with-parent"

// Process is one child. Its methods are safe for concurrent use.
type Process struct {
	Name string
	// Log is the file that its output is appended to.
	Log string

	cmd    *exec.Cmd
	stdin  io.Closer
	killed atomic.Bool
	done   chan struct{}
	err    error // of the exit; valid after done is closed
}

// Start runs this executable with the given arguments and --with-parent, its output appended to the
// file log.
func Start(name, log string, args ...string) (*Process, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own executable: %w", err)
	}
	return StartExecutable(executable, name, log, args...)
}

// StartExecutable is Start of another executable, which has to know --with-parent.
func StartExecutable(executable, name, log string, args ...string) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(executable, append(args, "--"+ParentFlag)...)
	cmd.Stdout, cmd.Stderr = out, out
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Log: log, cmd: cmd, stdin: stdin, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process's id, also after its end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end and waits; when ctx ends first, it is killed.
func (p *Process) Stop(ctx context.Context) error {
	p.killed.Store(true)
	_ = p.stdin.Close()
	select {
	case <-p.done:
		return p.exitError()
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s did not stop in time and was killed: see %s", p.Name, p.Log)
	}
}

// Expect says whether the process is about to end by itself, which is no crash then.
func (p *Process) Expect(end bool) { p.killed.Store(end) }

// ExitCode is the code with which the process ended; -1 when it runs, or was ended by a signal.
func (p *Process) ExitCode() int {
	if p.Running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Crashed returns an error when the process ended although nobody stopped it.
func (p *Process) Crashed() error {
	if p.Running() || p.killed.Load() {
		return nil
	}
	if err := p.exitError(); err != nil {
		return err
	}
	return fmt.Errorf("%s ended by itself: see %s", p.Name, p.Log)
}

// exitError describes the exit status of an ended process; nil for success.
func (p *Process) exitError() error {
	var exited *exec.ExitError
	if errors.As(p.err, &exited) {
		return fmt.Errorf("%s ended with %s: %s\nits log is %s", p.Name, exited.ProcessState, lastLine(p.Log), p.Log)
	}
	return p.err
}

// WithParent returns a context that ends when standard input does, which is when the parent closes the
// pipe or dies.
func WithParent(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// StopAll asks processes to stop, all at once, and waits; those that do not are killed. A nil one, or
// one that has ended, is passed over.
func StopAll(ctx context.Context, processes []*Process) error {
	results := make(chan error, len(processes))
	for _, p := range processes {
		go func() {
			if p == nil || !p.Running() {
				results <- nil
				return
			}
			results <- p.Stop(ctx)
		}()
	}
	var all []error
	for range processes {
		all = append(all, <-results)
	}
	return errors.Join(all...)
}
