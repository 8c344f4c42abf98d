package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// The product has two streams of what happens to a job: its status (WatchJob), of which changes in quick succession
// are sent as one, and what its tasks log (ListLogs), which a reader follows by a cursor. Clients read both of each of
// their jobs, break off, and go on at another node.

// sayLines is how many lines each attempt of a step logs. No two lines of a job are the same.
const sayLines = 4

var sayTask = sdk.NewTask("chaos.say", func(ctx context.Context, in string) (string, error) {
	log, fence := sdk.Log(ctx), sdk.Fence(ctx)
	for i := range sayLines {
		log.Info(fmt.Sprintf("%d %d", fence, i))
		select {
		case <-time.After(rand.N(100 * time.Millisecond)):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	if rand.IntN(8) == 0 {
		return "", errors.New("a failure on purpose")
	}
	return in, nil
}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 1000, First: 20 * time.Millisecond, Cap: 200 * time.Millisecond, CrashLimit: 1000}))

var sayChain = sdk.NewWorkflow("chaos.say.chain", func(in sdk.Ref[string]) sdk.Ref[string] {
	return sdk.Then(sdk.Then(sdk.Then(in, sayTask), sayTask), sayTask)
})

func init() {
	register(Workload{
		Name:   "stream",
		About:  "jobs whose status is watched and whose log is followed, by fast and slow readers that break off and go on at another node",
		Units:  func(string) []sdk.Registrable { return []sdk.Registrable{sayTask} },
		Run:    runStream,
		Settle: settleStream,
		Check:  checkStream,
	})
}

const (
	opFollow = "follow" // one page of a log
	opWatch  = "watch"  // one status of a stream
)

func runStream(ctx context.Context, l *Load) error {
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			for n := 0; ctx.Err() == nil; n++ {
				readJob(ctx, l, "c"+strconv.Itoa(c), fmt.Sprintf("c%d-%d", c, n), r.Uint64())
			}
		})
	}
	clients.Wait()
	return nil
}

// streamPatience bounds how long readers stay with a job during the faults.
const streamPatience = 2 * opTimeout

// readJob submits a job, watches and follows it.
func readJob(ctx context.Context, l *Load, client, key string, seed uint64) {
	call, cancel := context.WithTimeout(ctx, streamPatience)
	defer cancel()
	var id string
	_, err := l.Do(client, "submit", key, "", func() (string, error) {
		job, err := sayChain.Submit(call, l.Client, key, sdk.JobKey(key))
		if err != nil {
			return "", err
		}
		id = job.ID()
		return id, nil
	})
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { newReader(l, client+"-follow", id, seed).follow(call) })
	both.Go(func() { newReader(l, client+"-watch", id, seed+1).watch(call) })
	both.Wait()
}

func newReader(l *Load, name, job string, seed uint64) *reader {
	return &reader{l: l, name: name, job: job, r: rand.New(rand.NewPCG(seed, 3))}
}

// reader reads one stream of one job.
type reader struct {
	l         *Load
	name, job string
	r         *rand.Rand
	node      int
	hurried   bool   // it never rests, but after an error
	next      uint64 // cursor of follow
	over      bool   // the stream has come to its end
}

// turn goes to a node, and says which.
func (d *reader) turn() (address, id string) {
	n := d.l.Site.Nodes[d.node%len(d.l.Site.Nodes)]
	return n.API, n.ID
}

// slow rests as a slow reader does: a third of them, or all after an error.
func (d *reader) slow(ctx context.Context, err error) {
	if err != nil || !d.hurried && d.r.IntN(3) == 0 {
		rest(ctx, 300*time.Millisecond)
	}
}

// page is what one call of ListLogs answers.
type page struct {
	After uint64   `json:"after"`
	Next  uint64   `json:"next"`
	More  bool     `json:"more"`
	Ended bool     `json:"ended"`
	Lines []string `json:"lines"`
}

// follow reads a job's log by its cursor, any page from any node, until the job has ended.
func (d *reader) follow(ctx context.Context) {
	for !d.over && ctx.Err() == nil {
		d.node = d.r.IntN(len(d.l.Site.Nodes))
		address, id := d.turn()
		size := uint32(1 + d.r.IntN(3))
		_, err := d.l.Ask(history.Op{Client: d.name, Kind: opFollow, Key: d.job, Node: id}, func(op *history.Op) error {
			call, cancel := context.WithTimeout(ctx, roamTimeout)
			defer cancel()
			api, err := d.l.Client.At(address)
			if err != nil {
				return err
			}
			res, err := api.ListLogs(call, connect.NewRequest(&apiv1.ListLogsRequest{Id: d.job, After: d.next, PageSize: size, WaitMs: 300}))
			if err != nil {
				return err
			}
			p := page{After: d.next, Next: res.Msg.GetNext(), More: res.Msg.GetMore(), Ended: res.Msg.GetEnded()}
			for _, e := range res.Msg.GetEntries() {
				p.Lines = append(p.Lines, e.GetLine().GetText())
			}
			text, err := json.Marshal(p)
			op.Index, op.Answer = res.Msg.GetIndex(), string(text)
			d.next, d.over = p.Next, p.Ended && !p.More
			return err
		})
		d.slow(ctx, err)
	}
}

// watch reads a job's status from one node until the stream breaks, or the reader does, and then from another.
func (d *reader) watch(ctx context.Context) {
	for !d.over && ctx.Err() == nil {
		err := d.stream(ctx)
		d.node++
		d.slow(ctx, err)
	}
}

func (d *reader) stream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d.r.Int64N(int64(4*time.Second))))
	defer cancel()
	address, id := d.turn()
	api, err := d.l.Client.At(address)
	if err != nil {
		return err
	}
	stream, err := api.WatchJob(ctx, connect.NewRequest(&apiv1.WatchJobRequest{Id: d.job, IntervalMs: 50}))
	if err != nil {
		return err
	}
	defer stream.Close()
	for number := 0; ; number++ {
		begin := d.l.History.Now()
		if !stream.Receive() {
			return stream.Err() // mostly: it is not the leader
		}
		status := stream.Msg().GetJob()
		// Value is the status's number in its stream.
		d.l.History.Add(history.Op{
			Client: d.name, Kind: opWatch, Key: d.job, Value: strconv.Itoa(number), Node: id, Begin: begin, End: d.l.History.Now(), Outcome: history.OK,
			Index: stream.Msg().GetIndex(), Answer: statusText(status),
		})
		if d.over = sdk.State(status.GetState()).Ended(); d.over {
			return nil
		}
		d.slow(ctx, nil)
	}
}

// settleStream follows and watches every job once more, from the beginning to the end.
func settleStream(ctx context.Context, l *Load) error {
	return awaitAll(l, func(id string) error {
		for _, kind := range []string{opFollow, opWatch} {
			d := newReader(l, "settle-"+kind, id, l.Seed)
			d.hurried = true
			read := d.follow
			if kind == opWatch {
				read = d.watch
			}
			if read(ctx); !d.over {
				return fmt.Errorf("%s has no end: %w", kind, ctx.Err())
			}
		}
		return nil
	})
}
