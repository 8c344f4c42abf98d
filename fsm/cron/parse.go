package cron

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// field is a place in an expression.
type field struct {
	name     string
	low, top int
	names    []string // of low, low+1, ...
}

var (
	seconds  = field{name: "second", low: 0, top: 59}
	minutes  = field{name: "minute", low: 0, top: 59}
	hours    = field{name: "hour", low: 0, top: 23}
	days     = field{name: "day of month", low: 1, top: 31}
	months   = field{name: "month", low: 1, top: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}}
	weekdays = field{name: "day of week", low: 0, top: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}
)

var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse reads a cron expression: minute, hour, day of month, month, day of week; with six fields the
// first is the second. A field is a list of *, n, a-b, each with an optional step (/n), of numbers or
// English names (jan, mon; Sunday is 0 and 7), and a~b: one number of that range, chosen by a hash of seed,
// so that schedules with different seeds spread themselves. When both the day of month and the day of
// week are restricted, a date has to match one of them. @yearly, @monthly, @weekly, @daily and @hourly
// stand for what they say.
//
// An expression that can never tick is an error, and all problems are reported together.
func Parse(text, seed string) (*Spec, error) {
	expr := strings.ToLower(strings.TrimSpace(text))
	if m, ok := macros[expr]; ok {
		expr = m
	}
	if err := strange(expr); err != nil {
		return nil, fmt.Errorf("cron %q: %w", text, err)
	}
	parts := strings.Fields(expr)
	s := &Spec{second: 1}
	sets := []*uint64{&s.minute, &s.hour, &s.day, &s.month, &s.weekday}
	fields := []field{minutes, hours, days, months, weekdays}
	switch len(parts) {
	case 5:
	case 6:
		sets = append([]*uint64{&s.second}, sets...)
		fields = append([]field{seconds}, fields...)
	default:
		return nil, fmt.Errorf("cron %q has %d fields: give five (minute, hour, day of month, month, day of week), or six with the second first", text, len(parts))
	}
	var errs []error
	for i, f := range fields {
		set, err := f.parse(parts[i], seed)
		if err != nil {
			errs = append(errs, err)
		}
		*sets[i] = set
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("cron %q: %w", text, errors.Join(errs...))
	}
	s.weekday = s.weekday&0x7f | s.weekday>>7&1
	date := parts[len(parts)-3:]
	s.real = wild(parts[len(parts)-4])
	s.either = !wild(date[0]) && !wild(date[2])
	if !s.possible() {
		return nil, fmt.Errorf("cron %q never ticks: none of its months has such a day", text)
	}
	return s, nil
}

// strange names what other programs put into an expression and this one does not take.
func strange(expr string) error {
	switch {
	case strings.HasPrefix(expr, "tz=") || strings.HasPrefix(expr, "cron_tz="):
		return errors.New("the time zone is a field of its own: give it as the zone of the schedule")
	case strings.HasPrefix(expr, "@every"):
		return errors.New("an interval is a field of its own: give it as every")
	case strings.HasPrefix(expr, "@"):
		return errors.New("use @yearly, @monthly, @weekly, @daily or @hourly")
	}
	return nil
}

func wild(part string) bool { return part == "?" || strings.HasPrefix(part, "*") }

// possible reports whether some month that is named has a day that is.
func (s *Spec) possible() bool {
	if s.either {
		return true
	}
	for m := time.January; m <= time.December; m++ {
		const leap = 2024
		if s.month>>m&1 == 1 && up(s.day, 1) <= daysIn(leap, m) {
			return true
		}
	}
	return false
}

func (f *field) parse(text, seed string) (set uint64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		bits, err := f.item(item, seed)
		if err != nil {
			return 0, fmt.Errorf("%s %q: %w", f.name, text, err)
		}
		set |= bits
	}
	return set, nil
}

// item reads one of a list: *, n, a-b or a~b, and a step.
func (f *field) item(text, seed string) (set uint64, err error) {
	span, by, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		if step, err = strconv.Atoi(by); err != nil || step < 1 || step > f.top {
			return 0, fmt.Errorf("the step %q is not a number from 1 to %d", by, f.top)
		}
	}
	top := f.top
	if top == 7 {
		top = 6 // of the week: 7 is another name of 0
	}
	low, high := f.low, top
	first, last, ranged := strings.Cut(span, "-")
	from, to, spread := strings.Cut(span, "~")
	switch {
	case span == "*" || span == "?":
	case spread:
		if low, high, err = f.span(from, to); err != nil {
			return 0, err
		}
		low += int(hash(seed, f.name, text) % uint64(high-low+1))
		if high = top; !stepped {
			high = low
		}
	case ranged:
		if low, high, err = f.span(first, last); err != nil {
			return 0, err
		}
	default:
		if low, err = f.value(span); err != nil {
			return 0, err
		}
		if !stepped {
			high = low
		}
	}
	for n := low; n <= high; n += step {
		set |= 1 << n
	}
	return set, nil
}

// span reads the two ends of a range. An end that is left out, as in ~30, is the field's own.
func (f *field) span(from, to string) (low, high int, err error) {
	low, high = f.low, f.top
	if f.top == 7 {
		high = 6
	}
	if from != "" {
		if low, err = f.value(from); err != nil {
			return 0, 0, err
		}
	}
	if to != "" {
		if high, err = f.value(to); err != nil {
			return 0, 0, err
		}
	}
	if high < low {
		return 0, 0, fmt.Errorf("%s is after %s: write two ranges with a comma between", from, to)
	}
	return low, high, nil
}

func (f *field) value(text string) (int, error) {
	for i, name := range f.names {
		if text == name {
			return f.low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.top || text[0] == '+' {
		return 0, fmt.Errorf("%q is not from %d to %d%s", text, f.low, f.top, f.orNames())
	}
	return n, nil
}

func (f *field) orNames() string {
	if len(f.names) == 0 {
		return ""
	}
	return " or " + f.names[0] + " to " + f.names[len(f.names)-1]
}

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum64()
}
