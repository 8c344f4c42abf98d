package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fanfold/fanfold/docs/examples/invertedindex"
	"github.com/fanfold/fanfold/docs/examples/wordcount"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// topWords is how many of the most frequent words are shown.
const topWords = 10

func (r *run) reportWords(counts wordcount.Counts, index invertedindex.Result) {
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	r.note("The %d most frequent words:", min(topWords, len(words)))
	for _, word := range words[:min(topWords, len(words))] {
		files, err := index.Lookup(word)
		if err != nil {
			files = nil // compareSequential says what is wrong
		}
		r.note("  %9d  %-16s in %d file(s)", counts[word], shortened(word), len(files))
	}
}

// reportOutage says what the loss of the leader cost.
func (r *run) reportOutage() {
	o := r.watch.measured()
	if o == nil {
		return
	}
	if o.leaderAt.IsZero() {
		r.note("Failover: no other leader was seen after the kill of %s", o.killed)
		return
	}
	text := fmt.Sprintf("Failover: %s led %s after the kill", o.leader, ms(o.leaderAt.Sub(o.killedAt)))
	if o.progressAt.IsZero() {
		r.note("%s; all tasks were done by then", text)
		return
	}
	r.note("%s, the first result was accepted %s after it; for %s no result was accepted",
		text, ms(o.progressAt.Sub(o.killedAt)), ms(o.progressAt.Sub(later(o.lastBefore, o.killedAt))))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// reportCounters says what the round added to the cluster's counters.
func (r *run) reportCounters(ctx context.Context, before *apiv1.Counters) error {
	now, err := r.counters(ctx)
	if err != nil {
		return err
	}
	r.note("Attempts: %d started, %d results accepted, %d attempts lost with their worker, %d failed, %d handed back; %d stale results refused",
		now.GetGrants()-before.GetGrants(), now.GetCompletions()-before.GetCompletions(), now.GetCrashes()-before.GetCrashes(),
		now.GetFailures()-before.GetFailures(), now.GetReleases()-before.GetReleases(), now.GetStale()-before.GetStale())
	if n := now.GetDuplicates() - before.GetDuplicates(); n > 0 {
		r.note("          %d results came twice, because the first answer was lost, and were counted once", n)
	}
	return nil
}

// counters are those of the leader, which has applied all that it has told anybody.
func (r *run) counters(ctx context.Context) (*apiv1.Counters, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		leader, err := r.cluster.AwaitLeader(ctx)
		if err != nil {
			return nil, err
		}
		if status, err := r.cluster.StatusAt(ctx, leader.API); err == nil {
			return status.GetCounters(), nil
		}
	}
}
