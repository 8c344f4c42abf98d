package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Runner runs plans in another process, which it starts again when a plan has ended it. Not for concurrent use.
type Runner struct {
	// Command starts a process that calls Serve on its standard input and output.
	Command []string
	// Patience is how long one plan may take in real time; default 2 min.
	Patience time.Duration

	process *exec.Cmd
	plans   io.WriteCloser
	results *json.Decoder
	said    *tail
}

// Run runs a plan. A plan that ends its process has a Result that says so; the error is of the runner itself.
func (r *Runner) Run(ctx context.Context, p Plan) (*Result, error) {
	if r.process == nil {
		if err := r.start(); err != nil {
			return nil, err
		}
	}
	patience := r.Patience
	if patience == 0 {
		patience = 2 * time.Minute
	}
	type answer struct {
		result *Result
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		if err := json.NewEncoder(r.plans).Encode(p); err != nil {
			answers <- answer{nil, err}
			return
		}
		var one Result
		err := r.results.Decode(&one)
		answers <- answer{&one, err}
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case a := <-answers:
		if a.err == nil {
			return a.result, nil
		}
		return &Result{Plan: p, Error: "the process ended: " + r.end()}, nil
	case <-limit.C:
		_ = r.process.Process.Signal(os.Interrupt)
		_ = r.process.Process.Kill()
		<-answers
		r.end()
		return &Result{Plan: p, Error: fmt.Sprintf("the plan has not ended in %v", patience)}, nil
	case <-ctx.Done():
		_ = r.process.Process.Kill()
		<-answers
		r.end()
		return nil, ctx.Err()
	}
}

func (r *Runner) start() (err error) {
	if len(r.Command) == 0 {
		return errors.New("sim: the runner has no command")
	}
	r.process = exec.Command(r.Command[0], r.Command[1:]...)
	r.process.Env = append(os.Environ(), Environment...)
	r.said = &tail{}
	r.process.Stderr = r.said
	if r.plans, err = r.process.StdinPipe(); err != nil {
		return err
	}
	out, err := r.process.StdoutPipe()
	if err != nil {
		return err
	}
	r.results = json.NewDecoder(out)
	return r.process.Start()
}

// end waits for the process's end and returns what it said.
func (r *Runner) end() string {
	_ = r.process.Wait()
	r.process = nil
	return r.said.reason()
}

// Close ends the process.
func (r *Runner) Close() error {
	if r.process == nil {
		return nil
	}
	err := r.plans.Close()
	r.end()
	return err
}

// tail keeps the beginning of what a process said last.
type tail struct{ buf bytes.Buffer }

const tailMax = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	if t.buf.Len() < tailMax {
		t.buf.Write(p)
	}
	return len(p), nil
}

// reason is the panic and its goroutine, or the last lines.
func (t *tail) reason() string {
	text := t.buf.String()
	if i := strings.Index(text, "panic: "); i >= 0 {
		text = text[i:]
	} else if i := strings.Index(text, "fatal error: "); i >= 0 {
		text = text[i:]
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[:min(len(lines), 40)], "\n")
}
