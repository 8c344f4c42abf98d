package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/docs/examples/wordcount"
)

const (
	// The pipeline sorts every word of every file: it is run only on corpora below these sizes.
	shellBytes = 64 << 20
	shellFiles = 2000

	pipeline = `tr -cs 'A-Za-z' '\n' | sort | uniq -c`
)

// compareShell counts with the tools of the system, file by file, and compares.
func (r *run) compareShell(ctx context.Context, counts wordcount.Counts) error {
	for _, tool := range []string{"sh", "tr", "sort", "uniq"} {
		if _, err := exec.LookPath(tool); err != nil {
			r.note("  not compared with %s: there is no %s on this machine", pipeline, tool)
			return nil
		}
	}
	if r.corpus.Bytes > shellBytes || len(r.corpus.Files) > shellFiles {
		r.note("  not compared with %s: the corpus is too large for it", pipeline)
		return nil
	}
	started := time.Now()
	found := make([]map[string]uint64, len(r.corpus.Files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for n := range r.corpus.Files {
		group.Go(func() (err error) {
			found[n], err = shellCount(ctx, r.corpus.Path(n))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%s: %w", pipeline, err)
	}
	sum := &truth{counts: make(map[string]uint64)}
	for _, one := range found {
		for word, n := range one {
			sum.counts[word] += n
		}
	}
	if err := sum.compareCounts(counts); err != nil {
		return fmt.Errorf("the word count differs from that of %s: %w", pipeline, err)
	}
	r.note("  equal: the word count is that of %s, run on each file (%s)", pipeline, output.Duration(time.Since(started)))
	return nil
}

// shellCount runs the pipeline on one file. The empty word, which tr makes when a file does not begin
// with a letter, is left out.
func shellCount(ctx context.Context, path string) (map[string]uint64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.CommandContext(ctx, "sh", "-c", pipeline)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = file
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
		}
		return nil, err
	}
	counts := make(map[string]uint64)
	lines := bufio.NewReader(bytes.NewReader(out))
	for {
		line, err := lines.ReadString('\n')
		if line == "" && err != nil {
			return counts, nil
		}
		number, word, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("uniq printed %q", line)
		}
		if word != "" {
			counts[word] = n
		}
	}
}
