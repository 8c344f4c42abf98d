package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
)

func (a *app) schedule() *cobra.Command {
	return group("schedule", "Make jobs by the clock", a.scheduleSet(), a.scheduleList(), a.scheduleShow(), a.schedulePreview(),
		a.schedulePause(), a.scheduleResume(), a.scheduleTrigger(), a.scheduleBackfill(), a.scheduleDelete())
}

// onSchedule makes a command that takes the name of one schedule.
func (a *app) onSchedule(use, short string, do func(cmd *cobra.Command, client *remote.Client, namespace, name string) error) *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			return do(cmd, client, namespace, args[0])
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

// moment reads a time: RFC 3339, a date and time or a date of this machine's zone, or a duration from now,
// such as -24h. "" is 0.
func moment(flag, text string) (ms int64, err error) {
	if text == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(d).UnixMilli(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, exit.With(exit.Usage, `write it as 2026-11-23T08:00:00Z, "2026-11-23 08:00", 2026-11-23, or -24h for a day ago`,
		errors.New("--"+flag+" "+text+" is no time"))
}

// when prints a time, and nothing for none.
func when(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05Z")
}

// policy makes FIRE_ONCE of fire-once.
func policy(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// policyName makes fire-once of FIRE_ONCE.
func policyName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }
