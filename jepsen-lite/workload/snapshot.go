package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// blobTask gives its input back: what it takes and gives stays in the state, so that the state grows large.
var blobTask = sdk.NewTask("chaos.blob", func(_ context.Context, in string) (string, error) { return in, nil },
	sdk.Retry(sdk.RetryPolicy{MaxAttempts: 100, First: 50 * time.Millisecond, Cap: 500 * time.Millisecond, CrashLimit: 100}))

// What is sent to a follower that was away for a moment is the state: its log is short.
func init() {
	register(Workload{
		Name:     "snapshot",
		About:    "jobs of up to 16 KB on nodes that flush every 50 entries and keep 20, so that a node that was away is sent the whole state",
		Units:    func(string) []sdk.Registrable { return []sdk.Registrable{blobTask} },
		NodeArgs: []string{"--snapshot-threshold", "50", "--snapshot-interval", "100ms", "--trailing-logs", "20"},
		Hashes:   true,
		Run:      runSnapshot,
		Settle:   settleSnapshot,
		Check:    checkSnapshot,
		Weak:     weakSnapshot,
	})
}

const (
	blobLeast = 16
	blobMost  = 16 << 10
)

// blob is the input of a key: its own text, again and again. How long it is comes from the key, too.
func blob(key string) string {
	n, err := strconv.Atoi(key[strings.LastIndexByte(key, '-')+1:])
	if err != nil {
		panic(err) // a key that this file did not make
	}
	return strings.Repeat(key+" ", n/len(key)+1)[:n]
}

func runSnapshot(ctx context.Context, l *Load) error {
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			for n := 0; ctx.Err() == nil; n++ {
				size := blobLeast + r.IntN(1024)
				if r.IntN(8) == 0 {
					size = blobLeast + r.IntN(blobMost)
				}
				key := fmt.Sprintf("c%d-%d-%d", c, n, size)
				runJob(ctx, l, "c"+strconv.Itoa(c), key, blobTask, blob(key))
			}
		})
	}
	clients.Wait()
	return nil
}

func settleSnapshot(ctx context.Context, l *Load) error {
	if err := awaitAll(l, func(id string) error {
		_, err := blobTask.Attach(l.Client, id).Await(ctx)
		return err
	}); err != nil {
		return err
	}
	_, err := l.Do("settle", "submit", "settle-0-100", "", func() (string, error) {
		job, err := blobTask.Submit(ctx, l.Client, blob("settle-0-100"), sdk.JobKey("settle-0-100"))
		if err != nil {
			return "", err
		}
		_, err = job.Await(ctx)
		return job.ID(), err
	})
	return err
}

func checkSnapshot(e *evidence.Evidence) []evidence.Verdict {
	right := evidence.Verdict{ID: "S2", Rule: "a client that was given a result was given the right one"}
	sent := evidence.Verdict{ID: "X4", Rule: "a state that was sent is installed whole, or not at all", Count: e.Output.Installed()}
	keys := map[string]string{}
	for _, op := range e.Ops {
		if op.Kind == "submit" && op.Outcome == history.OK {
			keys[op.Value] = op.Key
		}
	}
	for _, op := range e.Ops {
		if op.Kind != "await" || op.Outcome != history.OK {
			continue
		}
		right.Count++
		if op.Value != blob(keys[op.Key]) {
			right.Violate(fmt.Sprintf("job %s of key %s was answered with %d bytes that are not its input at %v", op.Key, keys[op.Key], len(op.Value), op.End))
		}
	}
	for id, hash := range e.Final {
		if want := e.Ledger.Hashes[e.FinalIndex]; e.Output.Installs[id] > 0 && hash != want {
			sent.Violate(fmt.Sprintf("node %s was sent the state %d times and ends with hash %s; the replay has %s", id, e.Output.Installs[id], hash, want))
		}
	}
	return []evidence.Verdict{right, sent}
}

// absences are nemeses that keep a node away while the others go on.
var absences = []string{"kill-leader", "kill-one", "pause-leader", "partition-one", "partition-half", "partition-leader"}

func weakSnapshot(e *evidence.Evidence) []string {
	away := slices.ContainsFunc(e.Faults, func(f evidence.Fault) bool { return slices.Contains(absences, f.Nemesis) })
	if away && e.Output.Installed() == 0 {
		return []string{"nodes were away, and none was sent the state: too little load, or too little time"}
	}
	return nil
}
