//go:build !unix

package child

import (
	"errors"
	"os/exec"
)

// detach does nothing where there are no process groups.
func detach(*exec.Cmd) {}

// Freeze is not possible here.
func (p *Process) Freeze() error {
	return errors.New("this system cannot stop a process and let it go on")
}

// Thaw is not possible here.
func (p *Process) Thaw() error { return p.Freeze() }
