package bank

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/fsm/planted"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/sim"
	"github.com/fanfold/fanfold/jepsen-lite/trial"
)

// Config says how to go through the bank.
type Config struct {
	Bugs []Bug
	// Runs is how often a bug is tried at most, with the seeds Seed, Seed+1, and so on.
	Runs int
	Seed uint64
	Dir  string // empty directory for binaries and evidence
	// Control also runs the cell of each bug without it, once: it must hold.
	Control bool
	// Build builds a jepsen-lite with build tags. nil = by the go command, from the source around here.
	Build func(ctx context.Context, tags, path string) error
	// Run runs a binary, in which the bug has been chosen ("" = none), with arguments and returns its summary. nil =
	// as a process.
	Run func(ctx context.Context, binary, bug string, args []string) (*trial.Summary, error)
	// Binary is a jepsen-lite that was built with the tags bug_chosen and chaos. "" = it is built.
	Binary string
	// Done is told every row as it ends.
	Done func(Row)
}

// Row is what became of one bug.
type Row struct {
	Bug     string   `json:"bug"`
	Law     int      `json:"law"`
	Cell    string   `json:"cell"`
	Control bool     `json:"control,omitempty"` // of the cell without the bug
	Caught  []string `json:"caught,omitempty"`  // the invariants that should be broken, and were
	Others  []string `json:"others,omitempty"`  // further ones that were
	Runs    int      `json:"runs"`
	Seconds float64  `json:"seconds"`
	First   string   `json:"first,omitempty"` // of the violations
	Command string   `json:"command"`         // repeats the last run
	Why     string   `json:"why,omitempty"`   // it was not caught, or the control did not hold
}

// OK reports whether a bug was caught, or a control has held.
func (r *Row) OK() bool { return r.Why == "" }

// Run goes through the bank. The rows of bugs come first, in their order, then those of the controls.
func Run(ctx context.Context, c Config) (rows []Row, err error) {
	if c.Build == nil {
		c.Build = inside.BuildWith
	}
	if c.Run == nil {
		c.Run = runProcess
	}
	binary := c.Binary
	if binary == "" {
		binary = filepath.Join(c.Dir, "jepsen-lite")
		if err := c.Build(ctx, "bug_chosen,chaos", binary); err != nil {
			return nil, err
		}
		defer os.Remove(binary)
	}
	add := func(r Row, err error) error {
		if err == nil {
			rows = append(rows, r)
			if c.Done != nil {
				c.Done(r)
			}
		}
		return err
	}
	for _, b := range c.Bugs {
		if err := add(c.try(ctx, binary, b)); err != nil {
			return rows, fmt.Errorf("bug %s: %w", b.Name, err)
		}
	}
	var held []string // cells that have had their control
	for _, b := range c.Bugs {
		if cell := b.cell(); c.Control && !slices.Contains(held, cell) {
			held = append(held, cell)
			if err := add(c.control(ctx, binary, b)); err != nil {
				return rows, fmt.Errorf("control of %s: %w", b.cell(), err)
			}
		}
	}
	return rows, nil
}

// try runs a bug's cell until the bug is caught.
func (c *Config) try(ctx context.Context, binary string, b Bug) (Row, error) {
	r := Row{Bug: b.Name, Law: b.Law, Cell: b.cell()}
	for r.Runs < c.Runs {
		seed := c.Seed + uint64(r.Runs)
		r.Runs++
		r.Command = b.command(seed)
		dir := filepath.Join(c.Dir, fmt.Sprintf("%s-%d", b.Name, r.Runs))
		s, err := c.once(ctx, &r, binary, b.Name, b.inDir(b.arguments(seed), dir))
		if err != nil {
			return r, err
		}
		if s == nil {
			continue
		}
		if r.take(s, b.Caught); len(r.Caught) > 0 {
			r.Why = ""
			return r, nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return r, err
		}
	}
	return r, nil
}

// once is one run for a row. A run that could not be judged has no summary; an error is the end of ctx.
func (c *Config) once(ctx context.Context, r *Row, binary, bug string, args []string) (*trial.Summary, error) {
	began := time.Now()
	s, err := c.Run(ctx, binary, bug, args)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.Seconds += time.Since(began).Seconds()
	if err != nil {
		r.Why = "the run could not be judged: " + err.Error()
		return nil, nil
	}
	return s, nil
}

// take reads off a summary what was broken.
func (r *Row) take(s *trial.Summary, wanted []string) {
	r.Caught, r.Others, r.First = nil, nil, ""
	for i := range s.Verdicts {
		v := &s.Verdicts[i]
		switch {
		case v.Held():
		case slices.Contains(wanted, v.ID):
			if r.First == "" && len(v.Violations) > 0 {
				r.First = v.Violations[0]
			}
			r.Caught = append(r.Caught, v.ID)
		default:
			r.Others = append(r.Others, v.ID)
		}
	}
	slices.Sort(r.Caught)
	r.Caught = slices.Compact(r.Caught)
	slices.Sort(r.Others)
	r.Others = slices.Compact(r.Others)
	r.Why = "none of " + strings.Join(wanted, ", ") + " was broken"
}

// control runs the cell of a bug without it. An invalid run is repeated with the next seed.
func (c *Config) control(ctx context.Context, binary string, b Bug) (Row, error) {
	r := Row{Control: true, Cell: b.cell()}
	for r.Runs < 2 {
		args := b.arguments(c.Seed + uint64(r.Runs))
		r.Runs++
		r.Command = "go run ./jepsen-lite " + strings.Join(args, " ")
		dir := filepath.Join(c.Dir, "control-"+strings.NewReplacer(" × ", "-", ",", "-").Replace(r.Cell)+fmt.Sprintf("-%d", r.Runs))
		s, err := c.once(ctx, &r, binary, "", b.inDir(args, dir))
		if err != nil {
			return r, err
		}
		if s == nil {
			continue
		}
		if s.Violated() {
			r.take(s, nil)
			r.Why = "without a bug, " + strings.Join(r.Others, ", ") + " was broken"
			return r, nil
		}
		if r.Why = ""; len(s.Invalid) > 0 {
			r.Why = "the run proves nothing: " + s.Invalid[0]
			continue
		}
		return r, os.RemoveAll(dir)
	}
	return r, nil
}

// simulated is what simulations came to, as the summary of one run.
func simulated(t *sim.Totals) *trial.Summary {
	s := &trial.Summary{Workload: "sim"}
	for _, f := range t.Failures {
		s.Verdicts = append(s.Verdicts, f.Result.Broken...)
		if f.Result.Error != "" {
			v := evidence.Verdict{ID: "L5", Count: 1}
			v.Violate(f.Result.Error)
			s.Verdicts = append(s.Verdicts, v)
		}
	}
	return s
}

// runProcess runs a binary and reads its summary off its output. Its exit code says the same as the summary.
func runProcess(ctx context.Context, binary, bug string, args []string) (*trial.Summary, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, append(args, "--output", "json")...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = append(os.Environ(), planted.Environment+"="+bug)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var s trial.Summary
	if json.Unmarshal(out.Bytes(), &s) == nil && s.Workload != "" {
		return &s, nil
	}
	var t sim.Totals
	if json.Unmarshal(out.Bytes(), &t) == nil && t.Tier != "" {
		return simulated(&t), nil
	}
	lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
	return nil, errors.Join(err, errors.New(strings.Join(lines[max(0, len(lines)-3):], "; ")))
}
