package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// logWaitMS is how long one call of -f waits for lines.
const logWaitMS = 4000

func (a *app) jobLogs() *cobra.Command {
	var request apiv1.ListLogsRequest
	var follow bool
	var shard uint64
	var level string
	cmd := a.onJob("logs ID", "Print what a job's tasks have logged", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		request.Id, request.Namespace = id, f.namespace
		if cmd.Flags().Changed("shard") {
			request.Shard = &shard
		}
		if level != "" {
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return exit.Usagef("--level %q: use debug, info, warn or error", level)
			}
			n := int32(l)
			request.MinLevel = &n
		}
		if follow {
			request.WaitMs = logWaitMS
		}
		return a.printLogs(cmd.Context(), client, &request, follow)
	})
	cmd.Flags().StringVar(&request.Step, "step", "", "only lines of this step")
	cmd.Flags().Uint64Var(&shard, "shard", 0, "only lines of this item of an Each")
	cmd.Flags().StringVar(&level, "level", "", "only lines from this level up: debug, info, warn, error")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job has ended")
	return cmd
}

func (a *app) printLogs(ctx context.Context, client *remote.Client, request *apiv1.ListLogsRequest, follow bool) error {
	for {
		page, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.ListLogs, request)
		if err != nil {
			return err
		}
		for _, e := range page.GetEntries() {
			if err := a.printLogLine(e); err != nil {
				return err
			}
		}
		request.After = page.GetNext()
		if page.GetMore() || follow && !page.GetEnded() {
			continue
		}
		if n := page.GetDropped(); n > 0 {
			fmt.Fprintf(a.err, "note: %d lines of the job are not here: a task keeps its last 64 KiB, a job its last 4 MiB\n", n)
		}
		return nil
	}
}

func (a *app) printLogLine(e *apiv1.TaskLogEntry) error {
	if output.Format(a.format) == output.JSON {
		return a.printer().Message(e, nil)
	}
	at := time.UnixMilli(e.GetLine().GetTimeMs()).UTC().Format("2006-01-02T15:04:05.000Z")
	name := e.GetStep()
	if e.GetShard() > 0 {
		name = fmt.Sprintf("%s[%d]", name, e.GetShard())
	}
	_, err := fmt.Fprintf(a.out, "%s %-5s %s#%d %s\n", at, slog.Level(e.GetLine().GetLevel()), name, e.GetAttempt(), e.GetLine().GetText())
	return err
}
