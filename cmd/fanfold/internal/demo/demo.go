package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/progress"
	"github.com/fanfold/fanfold/docs/examples/textfiles"
	"github.com/fanfold/fanfold/sdk"
)

// Config says what the demo does.
type Config struct {
	// Path is the folder of text.
	Path string
	// Dir holds the data of the nodes and the logs of all processes. It must be empty at first.
	Dir string
	// Nodes and Workers are how many processes of each kind run.
	Nodes, Workers int
	// Kill is what is killed in each round.
	Kill Victim
	// Rounds is how often the jobs are run, on the same cluster. From the second round on, and with
	// Kill random in the first too, the moment of the kill is random; else it is the middle of the map.
	Rounds int
	// Seed of the random choices.
	Seed uint64
	// LeaseTTL is how long a silent worker keeps its tasks.
	LeaseTTL time.Duration
	// Replay replays the log of a stopped node in an empty directory and returns the state hash at
	// an index.
	Replay func(ctx context.Context, data string, index uint64) (hash string, err error)
}

// slotsPerWorker is how many tasks a worker process of the demo runs at once.
const slotsPerWorker = 2

// run is a demo under way.
type run struct {
	Config
	display *progress.Display
	random  *rand.Rand
	corpus  *textfiles.Corpus
	truth   *truth // what the sequential run found; nil until the first round ends
	cluster *procs.Cluster
	workers []*worker
	client  *sdk.Client
	watch   *monitor
	faults  int
}

// Run runs the demo and returns an error when any check fails.
func Run(ctx context.Context, display *progress.Display, config Config) (err error) {
	r := &run{Config: config, display: display, random: rand.New(rand.NewPCG(config.Seed, config.Seed))}
	started := time.Now()
	if err := r.find(); err != nil {
		return err
	}
	if err := r.start(ctx); err != nil {
		return errors.Join(err, r.stop())
	}
	for n := range r.Rounds {
		if err := r.round(ctx, n); err != nil {
			return errors.Join(fmt.Errorf("round %d of %d (seed %d): %w", n+1, r.Rounds, r.Seed, err), r.stop())
		}
	}
	err = r.finish(ctx)
	if err != nil {
		return fmt.Errorf("seed %d: %w", r.Seed, err)
	}
	r.note("")
	r.note("All checks passed: %d round(s), %d fault(s), %s in all.", r.Rounds, r.faults, output.Duration(time.Since(started)))
	return nil
}

// find lists the files, before any process is started for nothing.
func (r *run) find() error {
	corpus, err := textfiles.Find(r.Path)
	if err != nil {
		return fmt.Errorf("the folder of the demo: %w", err)
	}
	if len(corpus.Files) == 0 || corpus.Bytes == 0 {
		return fmt.Errorf("there is no text file under %s: name a folder of text after --demo", r.Path)
	}
	r.corpus = corpus
	r.note("Corpus: %d text files, %s, under %s", len(corpus.Files), output.Bytes(corpus.Bytes), corpus.Root)
	if corpus.Unreadable > 0 {
		r.note("        %d files or folders could not be read and are left out", corpus.Unreadable)
	}
	return nil
}

func (r *run) note(format string, args ...any) { r.display.Note(fmt.Sprintf(format, args...)) }
