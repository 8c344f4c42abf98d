package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/progress"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/docs/examples/invertedindex"
	"github.com/fanfold/fanfold/docs/examples/wordcount"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	// lookEvery is how often the jobs are looked at: how exactly the moment of a kill is met.
	lookEvery = 20 * time.Millisecond
	// drawEvery is how often the bars are drawn.
	drawEvery = 250 * time.Millisecond
	// stuckAfter ends a demo in which nothing moves any more.
	stuckAfter = 90 * time.Second
)

// round runs both jobs once, with one kill on the way, and checks what they return.
func (r *run) round(ctx context.Context, n int) error {
	if r.Rounds > 1 {
		r.note("")
		r.note("Round %d of %d", n+1, r.Rounds)
	}
	before, err := r.counters(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	counting, err := wordcount.WordCount.Submit(ctx, r.client, wordcount.Corpus{Root: r.corpus.Root})
	if err != nil {
		return fmt.Errorf("submit the word count: %w", err)
	}
	indexing, err := invertedindex.InvertedIndex.Submit(ctx, r.client, invertedindex.Corpus{Root: r.corpus.Root})
	if err != nil {
		return fmt.Errorf("submit the inverted index: %w", err)
	}
	f := r.plan(n)
	if err := r.follow(ctx, f, counting.ID(), indexing.ID()); err != nil {
		return err
	}
	took := time.Since(started)
	if f.victim == Freeze {
		if err := r.awaitRefusal(ctx, before); err != nil {
			return err
		}
	}
	counts, err := counting.Await(ctx)
	if err != nil {
		return fmt.Errorf("result of the word count: %w", err)
	}
	index, err := indexing.Await(ctx)
	if err != nil {
		return fmt.Errorf("result of the inverted index: %w", err)
	}
	r.display.Finish()
	r.note("Both jobs done after %s: %d different words, %d files indexed", output.Duration(took), len(counts), len(index.Files))
	r.reportOutage()
	if err := r.reportCounters(ctx, before); err != nil {
		return err
	}
	if n == 0 {
		r.reportWords(counts, index)
	}
	if err := r.check(ctx, counts, index); err != nil {
		return err
	}
	if err := r.compareNodes(ctx); err != nil {
		return err
	}
	if r.Rounds > 1 {
		return r.purge(ctx, counting.ID(), indexing.ID())
	}
	return nil
}

// follow shows the jobs until both have ended, and carries out the fault on the way.
func (r *run) follow(ctx context.Context, f *fault, ids ...string) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var drawn time.Time
	var last uint64
	moved, struck := time.Now(), false
	for {
		jobs, err := r.look(ctx, ids)
		if err != nil {
			return err
		}
		now := time.Now()
		done, total := tally(jobs, f.inMap)
		if all, _ := tally(jobs, false); all != last {
			last, moved = all, now
		}
		over := len(jobs) == len(ids) && ended(jobs)
		if over || now.Sub(drawn) >= drawEvery {
			r.draw(jobs)
			drawn = now
		}
		if !struck && (over || total > 0 && float64(done) >= f.at*float64(total)) {
			if struck, err = r.strike(ctx, f, f.moment(done, total)); err != nil {
				return err
			}
		}
		if struck && !f.repaired && (over && f.victim != Freeze || now.Sub(f.doneAt) >= f.downFor) {
			if err := r.repair(f); err != nil {
				return err
			}
		}
		if over && struck && f.repaired {
			return nil
		}
		if err := r.crashed(); err != nil {
			return err
		}
		if now.Sub(moved) > stuckAfter {
			return fmt.Errorf("nothing has moved for %s: %d of %d tasks are done; see the logs in %s", stuckAfter, done, total, r.Dir)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// look reads both jobs. Without a leader there is nothing to see: then the list is empty.
func (r *run) look(ctx context.Context, ids []string) ([]*apiv1.JobStatus, error) {
	asked, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var jobs []*apiv1.JobStatus
	for _, id := range ids {
		answer, err := remote.Call(asked, r.cluster.Remote(), apiv1connect.FanfoldClient.GetJob, &apiv1.GetJobRequest{Id: id})
		if err != nil {
			if remote.Passing(err) || asked.Err() != nil {
				return nil, ctx.Err() // an election, most likely: look again
			}
			return nil, err
		}
		jobs = append(jobs, answer.GetJob())
	}
	return jobs, nil
}

// tally counts the tasks done and known so far: of all steps of all jobs, or of the word count's map.
// The plans decide how many there are, so the total is 0 until the maps are laid out.
func tally(jobs []*apiv1.JobStatus, mapOnly bool) (done, total uint64) {
	if mapOnly {
		jobs = jobs[:min(1, len(jobs))]
	}
	for _, job := range jobs {
		for _, step := range job.GetSteps() {
			isMap := step.GetKind() == string(dag.StepMap)
			if isMap && step.GetTotal() == 0 {
				return done, 0
			}
			if isMap || !mapOnly {
				done += step.GetSucceeded()
				total += step.GetTotal()
			}
		}
	}
	return done, total
}

func ended(jobs []*apiv1.JobStatus) bool {
	for _, job := range jobs {
		if job.GetState() == "RUNNING" || job.GetState() == "PAUSED" {
			return false
		}
	}
	return true
}

func (r *run) draw(jobs []*apiv1.JobStatus) {
	var bars []progress.Bar
	for _, job := range jobs {
		bars = append(bars, progress.OfJob(job.GetWorkflow()+" ", job)...)
	}
	if len(bars) > 0 {
		r.display.Show(bars...)
	}
}

// purge removes the jobs of a round, so that twenty rounds do not keep twenty copies.
func (r *run) purge(ctx context.Context, ids ...string) error {
	var all []error
	for _, id := range ids {
		_, err := remote.Call(ctx, r.cluster.Remote(), apiv1connect.FanfoldClient.PurgeJob, &apiv1.PurgeJobRequest{Id: id})
		all = append(all, err)
	}
	return errors.Join(all...)
}
