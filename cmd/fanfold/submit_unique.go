package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// uniqueFlags are the flags of `fanfold submit` that make a job unique, or one of a batch.
type uniqueFlags struct {
	unique, scope, conflict           string
	ttl                               time.Duration
	throttle, debounce, latest, batch string
}

// derivedKey is the value of --unique without one: the key is derived from the input.
const derivedKey = "="

func (f *uniqueFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.unique, "unique", "", "unique key: while a job of it lives there is no other; without a value it is derived from the input")
	flags.Lookup("unique").NoOptDefVal = derivedKey
	flags.StringVar(&f.scope, "unique-scope", "", "until-done (default), until-success or until-start")
	flags.DurationVar(&f.ttl, "unique-ttl", 0, "the unique key is free after this time at the latest (default: never)")
	flags.StringVar(&f.conflict, "on-conflict", "", "existing (default), replace or reject")
	flags.StringVar(&f.throttle, "throttle", "", "KEY=DURATION: at most one job in this time")
	flags.StringVar(&f.debounce, "debounce", "", "KEY=DURATION[,MOST]: start this long after the last submission, with its input")
	flags.StringVar(&f.latest, "keep-latest", "", "KEY: one job runs and one waits, the latest")
	flags.StringVar(&f.batch, "batch", "", "id of the batch that the job is in")
}

// fill writes the flags into the options of a job.
func (f *uniqueFlags) fill(o *apiv1.JobOptions) error {
	o.Batch = f.batch
	given := 0
	for _, v := range []string{f.unique, f.throttle, f.debounce, f.latest} {
		if v != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return exit.Usagef("--unique, --throttle, --debounce and --keep-latest exclude each other")
	case f.unique == "" && (f.scope != "" || f.ttl != 0):
		return exit.Usagef("--unique-scope and --unique-ttl go with --unique")
	case f.conflict != "" && f.unique == "" && f.throttle == "":
		return exit.Usagef("--on-conflict goes with --unique or --throttle")
	}
	u := &apiv1.Unique{Scope: f.scope, OnConflict: f.conflict}
	var err error
	switch {
	case f.unique != "":
		u.Mode, u.PeriodMs = "unique", f.ttl.Milliseconds()
		if f.unique != derivedKey {
			u.Key = f.unique
		}
	case f.throttle != "":
		u.Mode = "throttle"
		u.Key, u.PeriodMs, _, err = keyed("--throttle", f.throttle)
	case f.debounce != "":
		u.Mode = "debounce"
		u.Key, u.PeriodMs, u.MaxMs, err = keyed("--debounce", f.debounce)
	case f.latest != "":
		u.Mode, u.Key = "keep-latest", f.latest
	default:
		return nil
	}
	o.Unique = u
	return err
}

// keyed reads KEY=DURATION[,MOST].
func keyed(flag, text string) (key string, period, most int64, err error) {
	at := strings.LastIndexByte(text, '=')
	if at < 1 {
		return "", 0, 0, exit.Usagef("%s %q has not the form KEY=DURATION", flag, text)
	}
	first, second, two := strings.Cut(text[at+1:], ",")
	d, err := time.ParseDuration(first)
	if err != nil || d <= 0 {
		return "", 0, 0, exit.Usagef("%s: %q is no duration above 0, as 5s or 2m", flag, first)
	}
	if two {
		m, err := time.ParseDuration(second)
		if err != nil || m <= 0 {
			return "", 0, 0, exit.Usagef("%s: %q is no duration above 0, as 5s or 2m", flag, second)
		}
		most = m.Milliseconds()
	}
	return text[:at], d.Milliseconds(), most, nil
}
