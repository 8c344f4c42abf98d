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

// tokens is the input of a map-reduce job: the job makes N tokens of its own, and the reduce has to have each
// of them once.
type tokens struct {
	Job string `json:"job"`
	N   int    `json:"n"`
}

var (
	planTokens = sdk.NewTask("chaos.tokens", func(_ context.Context, in tokens) ([]string, error) {
		all := make([]string, in.N)
		for i := range all {
			all[i] = in.Job + "/" + strconv.Itoa(i)
		}
		return all, nil
	}, tokenPolicy)
	mapToken = sdk.NewTask("chaos.map", func(ctx context.Context, token string) ([]string, error) {
		select {
		case <-time.After(rand.N(20 * time.Millisecond)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if rand.IntN(20) == 0 {
			return nil, fmt.Errorf("token %s: a failure on purpose", token)
		}
		return []string{token}, nil
	}, tokenPolicy)
	reduceTokens = sdk.NewTask("chaos.reduce", func(_ context.Context, parts [][]string) ([]string, error) {
		return slices.Concat(parts...), nil
	}, tokenPolicy)
	tokenPolicy = sdk.Retry(sdk.RetryPolicy{MaxAttempts: 1000, First: 20 * time.Millisecond, Cap: 200 * time.Millisecond, CrashLimit: 1000})

	mapReduce = sdk.NewWorkflow("chaos.mapreduce", func(in sdk.Ref[tokens]) sdk.Ref[[]string] {
		return sdk.Fold(sdk.Each(sdk.Then(in, planTokens), mapToken), reduceTokens, sdk.FanIn(4))
	})
)

func init() {
	register(Workload{
		Name:   "map-reduce",
		About:  "jobs of 20 to 200 mappers, a twentieth of whose attempts fail, and a tree of reducers that has to see each token once",
		Units:  func(string) []sdk.Registrable { return []sdk.Registrable{planTokens, mapToken, reduceTokens} },
		Run:    runMapReduce,
		Settle: settleMapReduce,
		Check:  checkMapReduce,
	})
}

func runMapReduce(ctx context.Context, l *Load) error {
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("c%d-%d-%d", c, n, 20+r.IntN(181))
				runJob(ctx, l, "c"+strconv.Itoa(c), key, mapReduce, tokensOf(key))
			}
		})
	}
	clients.Wait()
	return nil
}

// tokensOf reads the number of tokens off the key, so that the check knows it too.
func tokensOf(key string) tokens {
	n, err := strconv.Atoi(key[strings.LastIndexByte(key, '-')+1:])
	if err != nil {
		panic(err) // a key that this file did not make
	}
	return tokens{Job: key, N: n}
}

func settleMapReduce(ctx context.Context, l *Load) error {
	return awaitAll(l, func(id string) error {
		_, err := l.Do("settle", "await", id, "", func() (string, error) {
			out, err := mapReduce.Attach(l.Client, id).Await(ctx)
			return fmt.Sprint(out), err
		})
		return err
	})
}

// checkMapReduce compares every result with the tokens of its job.
func checkMapReduce(e *evidence.Evidence) []evidence.Verdict {
	exact := evidence.Verdict{ID: "D3", Rule: "a reduce sees exactly one accepted result of every mapper, once"}
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
		exact.Count++
		in := tokensOf(keys[op.Key])
		got := strings.Fields(strings.Trim(op.Value, "[]"))
		times := map[string]int{}
		for _, token := range got {
			times[token]++
		}
		for i := range in.N {
			if token := in.Job + "/" + strconv.Itoa(i); times[token] != 1 {
				exact.Violate(fmt.Sprintf("job %s: token %s was seen %d times", op.Key, token, times[token]))
			}
		}
		if len(got) != in.N {
			exact.Violate(fmt.Sprintf("job %s: %d tokens were reduced, of %d", op.Key, len(got), in.N))
		}
	}
	return []evidence.Verdict{exact}
}
