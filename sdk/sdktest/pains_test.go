package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// pains are what users of other task queues report again and again and what is impossible here: the
// numbers, threads and laws are those of docs/why.md. Each row is a scenario through the SDK, on real
// nodes; a test of the pages compares the rows with the page.
var pains = []struct {
	number int
	rule   string
	row    func(t *testing.T)
}{
	{1, "a task that is due later is with nobody before, and runs once", laterRunsOnceWhenDue},
	{2, "a killed worker's tasks end elsewhere", killedWorkersTasksEnd},
	{4, "a fan-in's task is created once, with a leader killed in the middle", fanInOnceOverFailover},
	{5, "a large graph is not in the messages of its tasks", messagesCarryNoGraph},
	{6, "results that are reported twice count once", reportedTwiceCountsOnce},
	{6, "a batch calls back once, whatever is reported twice", batchCallsBackOnce},
	{7, "a dead child ends its parent", deadChildEndsTheParent},
	{8, "a result under a lost lease is refused", lateResultIsRefused},
	{9, "a schedule whose job is lost ticks on", scheduleTicksOn},
	{9, "a schedule is set by every deploy, and does not multiply", scheduleOutlivesItsJobs},
	{10, "a tick is fired although its leader dies", tickSurvivesTheLeader},
	{10, "each second has its tick over four elections", ticksSurviveElections},
	{11, "a tick has one job, whoever leads", oneJobATick},
	{11, "four programs with the same schedule, and two leaders, make one job a tick", oneJobForATick},
	{12, "a dead tick holds up no later one", deadTickHoldsUpNobody},
	{13, "what waits is never evicted", waitingIsNeverEvicted},
	{13, "over its budget a queue refuses, and says when to come again", overBudgetIsRefused},
	{14, "acknowledged work survives its leader", acknowledgedSurvivesTheLeader},
	{16, "a worker never holds more than its slots", nothingIsHeldAhead},
	{17, "a kind that nobody offers holds up no other", unofferedKindHoldsUpNobody},
	{17, "a limited kind holds up no other, and keeps its order", limitedKindHoldsUpNobody},
	{18, "a cancel survives leader and workers", cancelSurvivesRestarts},
	{19, "an unknown id is an error, and SUCCESS has its result", unknownIsAnError},
	{20, "a task of 160 leases runs once, over an election", longTaskRunsOnce},
	{21, "a dead worker's task starts elsewhere within the lease, a living one's never", rescueGoesByLiveness},
	{22, "a task that is STARTED has a lease of a live session", startedHasALease},
	{23, "a unique key is free when its holder has ended, in whatever way", keyDiesWithItsHolder},
	{24, "any one node may be lost", anyNodeMayBeLost},
	{27, "priority is honoured, after retries too", priorityIsHonoured},
}

func TestPains(t *testing.T) {
	for _, p := range pains {
		t.Run(fmt.Sprintf("%02d %s", p.number, p.rule), func(t *testing.T) { synctest.Test(t, p.row) })
	}
}

// journal notes the starts of functions, by what they were given.
type journal struct {
	mu     sync.Mutex
	starts []start
}

type start struct {
	what   string
	at     time.Time
	worker string
	fence  uint64
}

func (j *journal) note(ctx context.Context, what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.starts = append(j.starts, start{what: what, at: time.Now(), worker: sdk.Info(ctx).Worker, fence: sdk.Fence(ctx)})
}

// of returns the starts of one thing, in order.
func (j *journal) of(what string) (found []start) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.starts {
		if s.what == what {
			found = append(found, s)
		}
	}
	return found
}

// order is what was started, in order.
func (j *journal) order() (names []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.starts {
		names = append(names, s.what)
	}
	return names
}

// sleep waits as a task that heeds its context.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// must stops the row at an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// await waits for a job, and not for ever: a job that never ends fails its row.
func await[T any](t *testing.T, job *sdk.Job[T]) (T, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	return job.Await(ctx)
}

func result[T any](t *testing.T, job *sdk.Job[T]) T {
	t.Helper()
	return must(await(t, job))(t)
}

// counters are the cluster's own counts.
func counters(t *testing.T, c *sdktest.Cluster) *apiv1.Counters {
	t.Helper()
	return must(c.Counters(t.Context()))(t)
}

// handWorker is a worker without the SDK: it takes what it is given, and reports what, when and as often as
// a row says.
type handWorker struct {
	t      *testing.T
	stream interface {
		Send(*apiv1.WorkRequest) error
		Receive() (*apiv1.WorkResponse, error)
	}
	assigned chan *apiv1.Assignment
	acks     chan *apiv1.Ack
}

// startHandWorker opens a session of one queue, with a time to live that no row outlasts.
func startHandWorker(t *testing.T, c *sdktest.Cluster, slots uint32, tasks ...string) *handWorker {
	t.Helper()
	var api apiv1connect.FanfoldClient = must(c.NewClient("hand").At(c.Leader() + ":7400"))(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream := api.Work(ctx)
	w := &handWorker{t: t, stream: stream, assigned: make(chan *apiv1.Assignment, 1000), acks: make(chan *apiv1.Ack, 1000)}
	hello := &apiv1.Hello{
		Namespace: "default", Worker: "hand", TtlMs: (10 * time.Minute).Milliseconds(), Nonce: []byte("0123456789abcdef"),
		Queues: []*apiv1.QueueSlots{{Queue: "default", Slots: slots}},
	}
	for _, name := range tasks {
		hello.Kinds = append(hello.Kinds, &apiv1.TaskKind{Name: name})
	}
	w.send(&apiv1.WorkRequest{Hello: hello})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := stream.Receive()
			if err != nil {
				return
			}
			for _, a := range m.Assignments {
				w.assigned <- a
			}
			for _, a := range m.Acks {
				w.acks <- a
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

func (w *handWorker) send(m *apiv1.WorkRequest) {
	w.t.Helper()
	if err := w.stream.Send(m); err != nil {
		w.t.Fatal(err)
	}
}

// report sends results for assignments, in one message.
func (w *handWorker) report(result string, all ...*apiv1.Assignment) {
	w.t.Helper()
	m := &apiv1.WorkRequest{}
	for _, a := range all {
		m.Reports = append(m.Reports, &apiv1.Report{
			Fence: a.Fence, Task: a.Task, Outcome: &apiv1.Report_Result{Result: &apiv1.Value{Inline: []byte(result)}},
		})
	}
	w.send(m)
}

// errPain is what fails in these rows.
var errPain = errors.New("as users report it")
