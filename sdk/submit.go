package sdk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// SubmitOption goes with Submit.
type SubmitOption interface{ submitOption(*submitSettings) }

// submitFunc makes sense for a submission only.
type submitFunc func(*submitSettings)

func (o submitFunc) submitOption(s *submitSettings) { o(s) }

type submitSettings struct {
	job      apiv1.Job
	override []func(*settings) // of all steps
	errs     []error
}

// options are those of the job, made when first asked for.
func (s *submitSettings) options() *apiv1.JobOptions {
	if s.job.Options == nil {
		s.job.Options = new(apiv1.JobOptions)
	}
	return s.job.Options
}

func (s *submitSettings) fail(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

// JobID gives the job's id, a ULID (see NewJobID), in place of one that Submit draws: a program that
// notes the id first can repeat a Submit after its own crash. An id that exists with the same graph and
// input is that job; with others, Submit fails with ErrConflict.
func JobID(id string) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		if _, err := ulid.ParseStrict(id); err != nil {
			s.errs = append(s.errs, fmt.Errorf("JobID(%q): %w: not a ULID", id, ErrInvalid))
		}
		s.job.Id = id
	})
}

// NewJobID draws a job id.
func NewJobID() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

// JobKey is an idempotency key: within 24 h of the submission, and for as long as the job runs, a submission
// with the same key, graph and input is that job, also when it was purged meanwhile; with others it fails with
// ErrConflict. It is kept with the job, where people see it.
func JobKey(key string) SubmitOption {
	return submitFunc(func(s *submitSettings) { s.job.Key = key })
}

// StartAt makes the job wait until a time. Resolution 1 ms.
func StartAt(t time.Time) SubmitOption {
	return submitFunc(func(s *submitSettings) { s.job.NotBeforeMs = t.UnixMilli() })
}

// RunIn is StartAt a time from now, by the clock of this program.
func RunIn(d time.Duration) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		if d < 0 {
			s.errs = append(s.errs, fmt.Errorf("RunIn(%v): %w: negative", d, ErrInvalid))
		}
		s.job.NotBeforeMs = time.Now().Add(d).UnixMilli()
	})
}

// Retain says how long a job is kept after its end.
func Retain(d time.Duration) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		if d <= 0 {
			s.errs = append(s.errs, fmt.Errorf("Retain(%v): %w: not positive", d, ErrInvalid))
		}
		s.job.RetainMs = milliseconds(d)
	})
}

// submit is Submit of tasks and workflows.
func submit[In, Out any](ctx context.Context, c *Client, graph []byte, in In, opts []SubmitOption) (*Job[Out], error) {
	input, err := encoder[In]()(in)
	if err != nil {
		return nil, fmt.Errorf("sdk: submit: %w: input: %w", ErrInvalid, err)
	}
	id, existing, err := c.SubmitRaw(ctx, RawJob{Graph: graph, Input: input}, opts...)
	if err != nil {
		return nil, err
	}
	return &Job[Out]{id: id, client: c, existing: existing}, nil
}

// RawJob is a job as it travels: for tools, and for jobs whose types this program does not know.
type RawJob struct {
	Graph []byte // JSON of the graph, as Workflow.Graph gives it
	Input []byte // a JSON document
}

// SubmitRaw is Submit without types. existing: the id was there before.
func (c *Client) SubmitRaw(ctx context.Context, job RawJob, opts ...SubmitOption) (id string, existing bool, err error) {
	p, err := c.prepare(ctx, job, opts)
	if err != nil {
		return "", false, fmt.Errorf("sdk: submit: %w", err)
	}
	if err := c.submits.run(ctx, []*submission{p}); err != nil {
		return "", false, fmt.Errorf("sdk: submit: %w", err)
	}
	if p.err != nil {
		return "", false, fmt.Errorf("sdk: submit: %w", p.err)
	}
	return p.result.Id, p.result.Existing, nil
}

// prepare makes the message of a job; a large input is uploaded.
func (c *Client) prepare(ctx context.Context, job RawJob, opts []SubmitOption) (*submission, error) {
	var s submitSettings
	for _, o := range opts {
		o.submitOption(&s)
	}
	if len(s.errs) > 0 {
		return nil, errors.Join(s.errs...)
	}
	if s.job.Id == "" {
		s.job.Id = NewJobID()
	}
	job, err := c.intercepted(ctx, job, &s)
	if err != nil {
		return nil, err
	}
	s.deriveUnique(job.Input)
	if job.Graph, err = overridden(job.Graph, s.override); err != nil {
		return nil, err
	}
	doc, err := c.seal(job.Input)
	if err != nil {
		return nil, err
	}
	input, err := c.value(ctx, doc)
	if err != nil {
		return nil, err
	}
	if err := s.writable(); err != nil {
		return nil, err
	}
	s.job.Graph, s.job.Input, s.job.Namespace = job.Graph, input, c.cfg.Namespace
	return &submission{job: &s.job, size: len(job.Graph) + len(input.Inline) + 64}, nil
}

// writable refuses texts that are not UTF-8: they cannot be written, and the jobs of other callers in the same message
// could not be, either.
func (s *submitSettings) writable() error {
	if !utf8.ValidString(s.job.Key) {
		return fmt.Errorf("JobKey(%q): %w: not UTF-8", s.job.Key, ErrInvalid)
	}
	if s.job.Options == nil {
		return nil
	}
	if _, err := proto.Marshal(s.job.Options); err != nil {
		return fmt.Errorf("%w: an option is not UTF-8: %w", ErrInvalid, err)
	}
	return nil
}

// SubmitBatch submits one job for each input, in as few messages as go. Each job is stored whole or not
// at all; the batch is not one transaction. The jobs come in the order of the inputs; where a job was not
// stored there is nil, and the error joins the reasons.
func SubmitBatch[In, Out any](ctx context.Context, c *Client, u Submittable[In, Out], inputs []In, opts ...SubmitOption) ([]*Job[Out], error) {
	graph, err := u.encodedGraph()
	if err != nil {
		return nil, err
	}
	opts = append(u.submitDefaults(), opts...)
	encode := encoder[In]()
	raw := make([]RawJob, len(inputs))
	for i, in := range inputs {
		data, err := encode(in)
		if err != nil {
			return nil, fmt.Errorf("sdk: submit: %w: input %d: %w", ErrInvalid, i, err)
		}
		raw[i] = RawJob{Graph: graph, Input: data}
	}
	ids, err := c.SubmitRawBatch(ctx, raw, opts...)
	jobs := make([]*Job[Out], len(ids))
	for i, id := range ids {
		if id != "" {
			jobs[i] = &Job[Out]{id: id, client: c}
		}
	}
	return jobs, err
}

// Submittable is what a job can be made of: a *Task or a *Workflow.
type Submittable[In, Out any] interface {
	Unit[In, Out]
	// Submit starts a job.
	Submit(ctx context.Context, c *Client, in In, opts ...SubmitOption) (*Job[Out], error)
	encodedGraph() ([]byte, error)
	submitDefaults() []SubmitOption
}

// SubmitRawBatch is SubmitBatch without types: ids in the order of jobs, "" where one was not stored.
func (c *Client) SubmitRawBatch(ctx context.Context, jobs []RawJob, opts ...SubmitOption) (ids []string, err error) {
	all := make([]*submission, len(jobs))
	for i, job := range jobs {
		p, err := c.prepare(ctx, job, opts)
		if err == nil && i == 1 && p.job.Id == all[0].job.Id {
			err = fmt.Errorf("JobID is for a single job: %w", ErrInvalid)
		}
		if err != nil {
			return nil, fmt.Errorf("sdk: submit: job %d: %w", i, err)
		}
		all[i] = p
	}
	if err := c.submits.run(ctx, all); err != nil {
		return nil, fmt.Errorf("sdk: submit: %w", err)
	}
	ids = make([]string, len(jobs))
	var errs []error
	for i, p := range all {
		if p.err != nil {
			errs = append(errs, fmt.Errorf("sdk: submit: job %d: %w", i, p.err))
			continue
		}
		ids[i] = p.result.Id
	}
	return ids, errors.Join(errs...)
}

// send makes one message of jobs and delivers the answers, trying again within ctx what can be.
func (s *submitter) send(ctx context.Context, batch []*submission, o *outlook, putOff func()) {
	left := batch
	err := s.client.retry(ctx, plan{bound: tryTimeout, changes: true, watch: o}, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		req := &apiv1.SubmitJobsRequest{Jobs: make([]*apiv1.Job, len(left))}
		for i, p := range left {
			req.Jobs[i] = p.job
		}
		res, err := api.SubmitJobs(ctx, connect.NewRequest(req))
		if err != nil {
			putOff()
			return err
		}
		if len(res.Msg.Results) != len(left) {
			return &APIError{Code: "INTERNAL", Message: fmt.Sprintf("%d jobs were answered with %d results", len(left), len(res.Msg.Results))}
		}
		if left, err = deliver(left, res.Msg.Results); err != nil {
			putOff()
		}
		return err
	})
	for _, p := range left {
		p.finish(nil, err)
	}
}

// deliver hands out the answers that are final, and returns the others with the error to wait for.
func deliver(batch []*submission, results []*apiv1.SubmitResult) (left []*submission, err error) {
	for i, p := range batch {
		info := results[i].Error
		if info == nil {
			p.finish(results[i], nil)
			continue
		}
		switch info.Code {
		case "OVERLOADED", "NO_LEADER", "NOT_LEADER", "OUTCOME_UNKNOWN":
			left = append(left, p)
			err = apiError(info)
		default:
			p.finish(nil, apiError(info))
		}
	}
	return left, err
}
