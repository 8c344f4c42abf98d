package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// submitFlags are the flags of `fanfold submit`.
type submitFlags struct {
	task, queue, input, id, key, namespace string
	partition                              string
	priority                               int
	unique                                 uniqueFlags
	wait                                   bool
	timeout                                time.Duration
	limits                                 timeFlags
	job                                    jobOptionFlags
}

func (a *app) submit() *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit (GRAPH | --task NAME) [-i JSON|@FILE|-] [--wait]",
		Short: "Submit a job: a workflow's graph, or one task",
		Long: `Submits a job and prints its id. GRAPH is a file with a graph, as JSON or in the text form (- for standard
input). With --task the job is one task of that name. The input is a JSON document: on the command line, @FILE,
or - for standard input; null when -i is not given.

With --wait the command waits for the end of the job and prints its result; the exit code tells how it ended.`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if f.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, f.timeout)
				defer cancel()
			}
			return a.submitJob(ctx, f, args)
		},
	}
	cmd.Flags().StringVar(&f.task, "task", "", "submit one task of this name instead of a graph")
	cmd.Flags().StringVar(&f.queue, "queue", "", `queue of the job's tasks (default: what the graph says; "default" with --task)`)
	cmd.Flags().StringVarP(&f.input, "input", "i", "null", "the job's input: JSON, @FILE or -")
	cmd.Flags().StringVar(&f.id, "id", "", "job id (a ULID); the same id again is the same job")
	cmd.Flags().StringVar(&f.key, "key", "", "idempotency key: a second submit with it within 24 h, or while the job runs, returns the first job")
	cmd.Flags().StringVar(&f.namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().StringVar(&f.partition, "partition", "", "partition of the job's tasks: queues are fair between them, limits may count each")
	cmd.Flags().IntVar(&f.priority, "priority", -1, "priority of the job's tasks: 0 goes first, 9 last (default: their own)")
	f.unique.add(cmd.Flags())
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait for the result and print it")
	f.limits.add(cmd)
	f.job.add(cmd)
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "give up after this time; the job goes on (default: never)")
	return cmd
}

func (a *app) submitJob(ctx context.Context, f submitFlags, args []string) error {
	graph, err := a.readGraph(f, args)
	if err != nil {
		return err
	}
	if f.job.partitionBy != "" {
		eachTask(graph, func(o *dag.Options) { o.PartitionBy = f.job.partitionBy })
	}
	if graph, err = f.limits.override(graph); err != nil {
		return err
	}
	input, err := a.readInput(f.input)
	if err != nil {
		return err
	}
	if f.id == "" {
		f.id = ulid.Make().String()
	} else if _, err := ulid.ParseStrict(f.id); err != nil {
		return exit.Usagef("--id %q is not a ULID (26 characters): %v", f.id, err)
	}
	options, err := f.options()
	if err != nil {
		return err
	}
	if options == nil {
		options = new(apiv1.JobOptions)
	}
	if err := f.unique.fill(options); err != nil {
		return err
	}
	job := &apiv1.Job{Id: f.id, Namespace: f.namespace, Graph: dag.Encode(graph), Key: f.key, Options: options}
	if err := f.job.fill(job); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if job.Input, err = client.Upload(ctx, input); err != nil {
		return err
	}
	answer, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.SubmitJobs, &apiv1.SubmitJobsRequest{Jobs: []*apiv1.Job{job}})
	if err != nil {
		return err
	}
	if len(answer.GetResults()) != 1 {
		return fmt.Errorf("the cluster answered one job with %d results", len(answer.GetResults()))
	}
	result := answer.GetResults()[0]
	if result.GetError() != nil {
		return remote.Refused(result.GetError())
	}
	if result.GetExisting() && result.GetId() != f.id {
		fmt.Fprintf(a.err, "note: job %s was there before, and has the key; no new job was made\n", result.GetId())
	}
	a.noteMissing(ctx, client, f.namespace, needsOf(graph))
	if !f.wait {
		return a.printer().Message(result, func(rows *output.Rows) { rows.Add(result.GetId()) })
	}
	fmt.Fprintln(a.err, "job", result.GetId())
	return a.awaitJob(ctx, client, f.namespace, result.GetId())
}

// options are those of the job; nil: it has none.
func (f *submitFlags) options() (*apiv1.JobOptions, error) {
	if f.priority < -1 || f.priority > 9 {
		return nil, exit.Usagef("--priority %d is not from 0 to 9", f.priority)
	}
	o := &apiv1.JobOptions{Partition: f.partition, Priority: uint32(f.priority + 1)} // 0 there: the tasks' own
	if err := f.limits.options(o); err != nil {
		return nil, err
	}
	if proto.Equal(o, new(apiv1.JobOptions)) {
		return nil, nil
	}
	return o, nil
}

// readGraph reads the graph file, or makes the graph of one task.
func (a *app) readGraph(f submitFlags, args []string) (*dag.Graph, error) {
	if (f.task != "") == (len(args) == 1) {
		return nil, exit.Usagef("submit takes either a graph file or --task NAME")
	}
	if f.task != "" {
		b := dag.NewBuilder(f.task)
		b.Output(b.Task(f.task, dag.Step{Task: f.task, Input: dag.Input(), Options: dag.Options{Queue: f.queue}}))
		graph, err := b.Build()
		return graph, exit.With(exit.Usage, "", err)
	}
	text, err := a.readFile(args[0])
	if err != nil {
		return nil, exit.With(exit.Usage, "", err)
	}
	parse := func() (*dag.Graph, error) { return dag.Parse(string(text)) }
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		parse = func() (*dag.Graph, error) { return dag.Decode(bytes.TrimSpace(text)) }
	}
	graph, err := parse()
	if err != nil {
		return nil, exit.With(exit.Usage, "mend the graph and submit again; nothing was stored", fmt.Errorf("%s: %w", args[0], err))
	}
	if f.queue != "" {
		for i := range graph.Steps {
			graph.Steps[i].Options.Queue = f.queue
		}
		graph, err = dag.Decode(dag.Encode(graph))
	}
	return graph, exit.With(exit.Usage, "", err)
}

// readInput reads the value of -i.
func (a *app) readInput(text string) ([]byte, error) {
	document := []byte(text)
	if file, ok := strings.CutPrefix(text, "@"); ok || text == "-" {
		if text == "-" {
			file = "-"
		}
		var err error
		if document, err = a.readFile(file); err != nil {
			return nil, exit.With(exit.Usage, "", err)
		}
	}
	document = bytes.TrimSpace(document)
	if !json.Valid(document) {
		return nil, exit.With(exit.Usage, `quote it for the shell, as in -i '{"id":1}'; a plain string needs its own quotes: -i '"text"'`,
			errors.New("the input is not a JSON document"))
	}
	return document, nil
}

func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.in)
	}
	return os.ReadFile(name)
}
