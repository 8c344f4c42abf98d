package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) queueSet() *cobra.Command {
	var ageing, budget string
	var weights, keeps []string
	cmd := a.onQueue("set", "Change settings of a queue; it is made when it is not there", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		settings := new(apiv1.QueueSettings)
		for _, set := range []func() error{
			func() error { return setAgeing(settings, ageing) },
			func() error { return setWeights(settings, weights) },
			func() error { return setKeeps(settings, keeps) },
			func() (err error) {
				if cmd.Flags().Changed("budget") {
					settings.Budget, err = parseBudget(budget)
				}
				return err
			},
		} {
			if err := set(); err != nil {
				return err
			}
		}
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.SetQueue, &apiv1.SetQueueRequest{Name: name, Settings: settings})
		return a.done(err, "queue %s is set", name.GetQueue())
	})
	cmd.Long = `Changes settings of a queue. What no flag names stays as it is.

--keep bounds the ended jobs of one state, and replaces what was set for it: --keep failure:age=720h,count=100000,bytes=1GB
(what is left out has no bound, and the default age). --budget bounds the unfinished jobs: --budget jobs=1000000,bytes=10GB,
or none. Sizes are bytes, or end in kB, MB, GB, TB.`
	cmd.Flags().StringVar(&ageing, "ageing", "", `waiting that is worth one level of priority, as in 30s; "off" for none (default 1m)`)
	cmd.Flags().StringArrayVar(&weights, "weight", nil, "PARTITION=N: its share, 1 to 1,000; 0 is back to 1; may be repeated")
	cmd.Flags().StringArrayVar(&keeps, "keep", nil, "STATE:[age=D][,count=N][,bytes=SIZE]: success, failure or canceled; may be repeated")
	cmd.Flags().StringVar(&budget, "budget", "", "[jobs=N][,bytes=SIZE], or none")
	return cmd
}

func setAgeing(to *apiv1.QueueSettings, text string) error {
	if text == "" {
		return nil
	}
	ms := int64(-1)
	if text != "off" {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Millisecond {
			return exit.Usagef(`--ageing %q: give a time of at least 1ms, as in 30s, or off`, text)
		}
		ms = d.Milliseconds()
	}
	to.AgeingMs = &ms
	return nil
}

func setWeights(to *apiv1.QueueSettings, texts []string) error {
	for _, text := range texts {
		i := strings.LastIndexByte(text, '=')
		if i < 0 {
			return exit.Usagef("--weight %q: write PARTITION=N", text)
		}
		n, err := strconv.ParseUint(text[i+1:], 10, 32)
		if err != nil {
			return exit.Usagef("--weight %q: %q is not a number", text, text[i+1:])
		}
		if to.Weights == nil {
			to.Weights = make(map[string]uint32)
		}
		to.Weights[text[:i]] = uint32(n)
	}
	return nil
}

func setKeeps(to *apiv1.QueueSettings, texts []string) error {
	for _, text := range texts {
		state, list, _ := strings.Cut(text, ":")
		keep := new(apiv1.Retention)
		switch strings.ToLower(state) {
		case "success":
			to.Success = keep
		case "failure":
			to.Failure = keep
		case "canceled":
			to.Canceled = keep
		default:
			return exit.Usagef("--keep %q: begin with success:, failure: or canceled:", text)
		}
		err := eachPair("--keep", list, func(key, value string) (err error) {
			switch key {
			case "age":
				var d time.Duration
				d, err = time.ParseDuration(value)
				keep.AgeMs = d.Milliseconds()
			case "count":
				keep.Count, err = strconv.ParseUint(value, 10, 64)
			case "bytes":
				keep.Bytes, err = output.ParseBytes(value)
			default:
				return exit.Usagef("--keep knows age, count and bytes, and not %q", key)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parseBudget reads jobs=N,bytes=SIZE, or none.
func parseBudget(text string) (*apiv1.Budget, error) {
	b := new(apiv1.Budget)
	if text == "none" {
		return b, nil
	}
	err := eachPair("the budget", text, func(key, value string) (err error) {
		switch key {
		case "jobs":
			b.Jobs, err = strconv.ParseUint(value, 10, 64)
		case "bytes":
			b.Bytes, err = output.ParseBytes(value)
		default:
			return exit.Usagef("a budget is of jobs and bytes, and not of %q", key)
		}
		return err
	})
	if err == nil && b.GetJobs() == 0 && b.GetBytes() == 0 {
		err = exit.Usagef("a budget is jobs=N, bytes=SIZE, both with a comma between, or none")
	}
	return b, err
}

// eachPair reads key=value pairs with commas between.
func eachPair(what, list string, f func(key, value string) error) error {
	for _, pair := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' }) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return exit.Usagef("%s: %q is not NAME=VALUE", what, pair)
		}
		if err := f(key, value); err != nil {
			if code, _ := exit.Of(err); code == exit.Usage {
				return err
			}
			return exit.Usagef("%s: %s: %v", what, pair, err)
		}
	}
	return nil
}
