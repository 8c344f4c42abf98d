package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Clients make mistakes on purpose: law 13 says that each is refused with a clear code, and that nothing of it is
// stored. Everything in a mistake that could be stored has its mark in it, so that it is found wherever it is
// (mistakes_check.go).

// mistake is one way to be wrong.
type mistake struct {
	name string
	code string // that the API documents for it
	send func(ctx context.Context, c *sdk.Client, m mark, last good) error
}

// mark is the job id of a mistake. In texts it has a word before it, in keys and ids it is 16 bytes.
type mark string

const markWord = "mistake-"

func (m mark) text() string { return markWord + string(m) }

func (m mark) bytes() []byte {
	id, _ := fsm.ParseJobID(string(m)) // drawn by the SDK
	return id[:]
}

// good is a job of the same client that was acknowledged.
type good struct{ id, key string }

// badGraph is a wrong job by its graph: %s is the mark.
func badGraph(name, format string) mistake {
	return badJob(name, "INVALID", func(j *apiv1.Job, m mark) { j.Graph = []byte(strings.ReplaceAll(format, "%s", m.text())) })
}

// badJob is a job that is right but for what spoil does.
func badJob(name, code string, spoil func(*apiv1.Job, mark)) mistake {
	return mistake{name: name, code: code, send: func(ctx context.Context, c *sdk.Client, m mark, _ good) error {
		return submitWrong(ctx, c, m, func(j *apiv1.Job) { spoil(j, m) })
	}}
}

// badOptions is a job with everything in its options that could be stored, and one thing wrong in them.
func badOptions(name, code string, spoil func(*apiv1.JobOptions, mark)) mistake {
	return badJob(name, code, func(j *apiv1.Job, m mark) {
		j.Options = &apiv1.JobOptions{
			Partition: m.text(), Unique: &apiv1.Unique{Key: m.text()}, Headers: map[string]string{m.text(): m.text()},
		}
		spoil(j.Options, m)
	})
}

// conflicting is a right job under a name that another has.
func conflicting(name string, take func(*apiv1.Job, good)) mistake {
	return mistake{name: name, code: "CONFLICT", send: func(ctx context.Context, c *sdk.Client, m mark, last good) error {
		return submitWrong(ctx, c, m, func(j *apiv1.Job) { take(j, last) })
	}}
}

func badChunk(name, code string, spoil func(*apiv1.PutChunkRequest, mark)) mistake {
	return mistake{name: name, code: code, send: func(ctx context.Context, c *sdk.Client, m mark, _ good) error {
		return c.Call(ctx, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
			q := &apiv1.PutChunkRequest{Blob: m.bytes(), Data: []byte(m.text())}
			spoil(q, m)
			_, err := api.PutChunk(ctx, connect.NewRequest(q))
			return err
		})
	}}
}

// A right graph of one step and of two. Their words in capitals are what a mistake takes another for.
const (
	oneStep  = `{"v":1,"name":"%s","steps":[{"name":"a","kind":"task","task":"chaos.echo","input":{"op":"input"}}],"output":{"op":"step","step":"a"}}`
	twoSteps = `{"v":1,"name":"%s","steps":[{"name":"a","kind":"task","task":"chaos.echo","input":INPUT},{"name":"b","kind":"task","task":"TASK","input":{"op":"step","step":"a"}OPTIONS}],"output":{"op":"step","step":"b"}}`
)

// twist is twoSteps with other words.
func twist(words ...string) string {
	words = append(words, "INPUT", `{"op":"input"}`, "TASK", "%s", "OPTIONS", `,"options":{"queue":"%s"}`)
	return strings.NewReplacer(words...).Replace(twoSteps)
}

// longer fills a text up to a length, so that the mark is at its end.
func longer(text string, n int) string { return strings.Repeat("x", n-len(text)) + text }

var mistakes = []mistake{
	badGraph("no graph", ``),
	badGraph("a graph that is no JSON", `{"v":1,"name":"%s",`),
	badGraph("a graph of another version", strings.Replace(oneStep, `"v":1`, `"v":2`, 1)),
	badGraph("a graph with an unknown field", strings.Replace(oneStep, `"v":1`, `"v":1,"%s":1`, 1)),
	badGraph("a graph with a repeated field", strings.Replace(oneStep, `"v":1`, `"v":1,"name":"other"`, 1)),
	badGraph("a graph without steps", `{"v":1,"name":"%s","steps":[],"output":{"op":"input"}}`),
	badGraph("a cyclic graph", twist("INPUT", `{"op":"step","step":"b"}`)),
	badGraph("a step that waits for itself", twist("OPTIONS", `,"after":["b"]`)),
	badGraph("a step that waits for none there is", twist("OPTIONS", `,"after":["%s"]`)),
	badGraph("two steps of one name", strings.Replace(twist(), `"name":"b"`, `"name":"a"`, 1)),
	badGraph("a task whose name is none", twist("TASK", "%s with spaces")),
	badGraph("a queue whose name is none", twist("OPTIONS", `,"options":{"queue":"%s with spaces"}`)),
	badGraph("options that are out of bounds", twist("OPTIONS", `,"options":{"queue":"%s","priority":11}`)),
	badJob("a graph that is too large", "TOO_LARGE", func(j *apiv1.Job, m mark) {
		j.Graph = []byte(strings.ReplaceAll(twist("INPUT", `{"op":"const","value":"`+longer("", 1<<20)+`"}`), "%s", m.text()))
	}),
	badJob("an input that is no JSON", "INVALID", func(j *apiv1.Job, m mark) { j.Input.Inline = []byte(`{"` + m.text()) }),
	badJob("an input that is too large", "TOO_LARGE", func(j *apiv1.Job, m mark) { j.Input.Inline = []byte(`"` + longer(m.text(), 256<<10) + `"`) }),
	badJob("an input given twice", "INVALID", func(j *apiv1.Job, m mark) { j.Input.Blob = lostBlob(m) }),
	badJob("an input that was never uploaded", "NOT_FOUND", func(j *apiv1.Job, m mark) { j.Input = &apiv1.Value{Blob: lostBlob(m)} }),
	badJob("an upload that is too large", "TOO_LARGE", func(j *apiv1.Job, m mark) {
		j.Input = &apiv1.Value{Blob: lostBlob(m)}
		j.Input.Blob.Size = 64<<20 + 1
	}),
	badJob("an id that is none", "INVALID", func(j *apiv1.Job, m mark) { j.Id = m.text() }),
	badJob("a namespace that is none", "INVALID", func(j *apiv1.Job, m mark) { j.Namespace = m.text() + "?" }),
	badJob("a key that is too long", "INVALID", func(j *apiv1.Job, m mark) { j.Key = longer(m.text(), 256) }),
	badJob("a key with a control character", "INVALID", func(j *apiv1.Job, m mark) { j.Key = m.text() + "\x01" }),
	badJob("a start before time began", "INVALID", func(j *apiv1.Job, _ mark) { j.NotBeforeMs = -1 }),
	badJob("an end after the last one", "INVALID", func(j *apiv1.Job, _ mark) { j.RetainMs = 1 << 62 }),
	badOptions("a priority that is out of bounds", "INVALID", func(o *apiv1.JobOptions, _ mark) { o.Priority = 11 }),
	badOptions("a partition with a control character", "INVALID", func(o *apiv1.JobOptions, m mark) { o.Partition = m.text() + "\x01" }),
	badOptions("headers that are too large", "TOO_LARGE", func(o *apiv1.JobOptions, m mark) { o.Headers[m.text()] = longer(m.text(), 8<<10) }),
	badOptions("a unique key of no mode", "INVALID", func(o *apiv1.JobOptions, m mark) { o.Unique.Mode = m.text() }),
	badOptions("a throttle without a period", "INVALID", func(o *apiv1.JobOptions, _ mark) { o.Unique.Mode = "throttle" }),
	badOptions("a batch that is none", "INVALID", func(o *apiv1.JobOptions, m mark) { o.Batch = m.text() }),
	badOptions("a batch that there is not", "NOT_FOUND", func(o *apiv1.JobOptions, m mark) { o.Batch = string(m) }),
	conflicting("the id of another job", func(j *apiv1.Job, last good) { j.Id = last.id }),
	conflicting("the idempotency key of another job", func(j *apiv1.Job, last good) { j.Key = last.key }),
	badChunk("a chunk out of order", "INVALID", func(q *apiv1.PutChunkRequest, _ mark) { q.Index = 3 }),
	badChunk("a chunk of nothing", "INVALID", func(q *apiv1.PutChunkRequest, _ mark) { q.Data = nil }),
	badChunk("a chunk that is too large", "TOO_LARGE", func(q *apiv1.PutChunkRequest, m mark) { q.Data = []byte(longer(m.text(), 256<<10+1)) }),
	badChunk("a blob id that is none", "INVALID", func(q *apiv1.PutChunkRequest, m mark) { q.Blob = []byte(m.text()) }),
	{name: "a schedule whose cron is none", code: "INVALID", send: func(ctx context.Context, c *sdk.Client, m mark, _ good) error {
		return echoTask.Schedule(ctx, c, m.text(), sdk.Schedule{Name: m.text(), Cron: "61 * * * *"})
	}},
	{name: "a limit of nothing", code: "INVALID", send: func(ctx context.Context, c *sdk.Client, m mark, _ good) error {
		return c.SetLimit(ctx, sdk.Limit{Scope: sdk.LimitQueue, Name: m.text(), Kind: sdk.LimitRate, N: 5})
	}},
	{name: "by the SDK, a queue whose name is none", code: "INVALID", send: func(ctx context.Context, c *sdk.Client, m mark, _ good) error {
		_, err := echoTask.Submit(ctx, c, m.text(), sdk.JobID(string(m)), sdk.JobKey(m.text()), sdk.Queue(m.text()+" with spaces"))
		return err
	}},
	{name: "by the SDK, a text that is not UTF-8", code: "INVALID", send: func(ctx context.Context, c *sdk.Client, m mark, _ good) error {
		_, err := echoTask.Submit(ctx, c, m.text(), sdk.JobID(string(m)), sdk.JobKey(m.text()+"\xff"))
		return err
	}},
}

func lostBlob(m mark) *apiv1.Blob {
	return &apiv1.Blob{Id: m.bytes(), Size: 300 << 10, Sha256: append(m.bytes(), m.bytes()...)}
}

// submitWrong submits a job that would be right without what spoil does.
func submitWrong(ctx context.Context, c *sdk.Client, m mark, spoil func(*apiv1.Job)) error {
	job := &apiv1.Job{
		Id: string(m), Graph: []byte(strings.ReplaceAll(oneStep, "%s", m.text())), Key: m.text(),
		Input: &apiv1.Value{Inline: []byte(`"` + m.text() + `"`)},
	}
	spoil(job)
	return c.Call(ctx, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		answer, err := api.SubmitJobs(ctx, connect.NewRequest(&apiv1.SubmitJobsRequest{Jobs: []*apiv1.Job{job}}))
		if err != nil {
			return err
		}
		if n := len(answer.Msg.GetResults()); n != 1 {
			return fmt.Errorf("one job was answered with %d results", n)
		}
		if info := answer.Msg.GetResults()[0].GetError(); info != nil {
			return &sdk.APIError{Code: info.GetCode(), Message: info.GetMessage(), Leader: info.GetLeader()}
		}
		return nil
	})
}

// opMistake is the kind of operation that a mistake is: Key says which, Value is the mark, Answer the code.
const opMistake = "mistake"

// runMistake makes one.
func runMistake(ctx context.Context, l *Load, client string, r *rand.Rand, last good) {
	m := mistakes[r.IntN(len(mistakes))]
	call, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	id := mark(sdk.NewJobID())
	_, _ = l.Ask(history.Op{Client: client, Kind: opMistake, Key: m.name, Value: string(id)}, func(op *history.Op) error {
		err := m.send(call, l.Client, id, last)
		op.Answer = codeOf(err)
		return err
	})
}
