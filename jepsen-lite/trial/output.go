package trial

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// alarms are what no line of a process may say, whatever is done to it. A panic in a task's function is caught
// by the worker, and reported as "panic:" within a field: these are at the begin of a line.
var alarms = []string{"panic:", "panic ", "fatal error:", "WARNING: DATA RACE", "unexpected fault address", "SIGSEGV", "runtime error:"}

// installed is what a node says when it has put the leader's state in the place of its own.
const installed = "the leader's state is installed"

// readOutput reads what the processes wrote.
func (t *trial) readOutput() (evidence.Output, error) {
	out := evidence.Output{Installs: map[string]int{}}
	var errs []error
	for _, n := range t.site.Nodes {
		errs = append(errs, scan(n.Log, func(number int, line string) {
			note(&out, n.Log, number, line)
			if strings.Contains(line, installed) {
				out.Installs[n.ID]++
			}
		}))
	}
	for _, w := range t.site.Workers {
		errs = append(errs, scan(w.Log, func(number int, line string) { note(&out, w.Log, number, line) }))
	}
	return out, errors.Join(errs...)
}

func note(out *evidence.Output, log string, number int, line string) {
	out.Lines++
	for _, a := range alarms {
		if strings.HasPrefix(line, a) {
			out.Alarms = append(out.Alarms, fmt.Sprintf("%s:%d: %s", filepath.Base(log), number, line))
			return
		}
	}
}

// scan calls visit for every line of a file, which may be long.
func scan(path string, visit func(number int, line string)) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the process was never started
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		if line != "" {
			visit(number, strings.TrimSuffix(line, "\n"))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
