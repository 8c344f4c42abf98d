package cron

import (
	"archive/zip"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var allZones = flag.Bool("zones", false, "hold the oracle against every zone of the database, not a sample: minutes")

// oracle walks the minutes of [from, to) and asks of each whether a tick is due, by the rules as they are
// written, with no calendar arithmetic of its own.
func oracle(expr string, loc *time.Location, from, to time.Time) (ticks []int64) {
	f := strings.Fields(expr)
	var named [5][60]bool
	for i := range named {
		for n := range named[i] {
			named[i][n] = has(f[i], n)
		}
	}
	both := !strings.HasPrefix(f[2], "*") && !strings.HasPrefix(f[4], "*")
	matches := func(local time.Time) bool {
		if !named[0][local.Minute()] || !named[1][local.Hour()] {
			return false
		}
		onDay, onWeekday := named[2][local.Day()], named[4][local.Weekday()]
		date := onDay && onWeekday
		if both {
			date = onDay || onWeekday
		}
		return date && named[3][local.Month()]
	}
	// wall is what the clock on the wall shows, as a time of UTC; latest is up to where it has been.
	wall := func(t time.Time) time.Time {
		_, offset := t.In(loc).Zone()
		return t.Add(time.Duration(offset) * time.Second).UTC()
	}
	latest := wall(from.Add(-warmUp))
	for t := from.Add(-warmUp); t.Before(to); t = t.Add(time.Minute) {
		now, due := wall(t), false
		if strings.HasPrefix(f[1], "*") {
			due = matches(now)
		} else {
			for m := latest.Add(time.Minute); !m.After(now); m = m.Add(time.Minute) {
				due = due || matches(m)
			}
		}
		if now.After(latest) {
			latest = now
		}
		if due && !t.Before(from) {
			ticks = append(ticks, t.Unix())
		}
	}
	return ticks
}

// warmUp is more than any jump back of the clocks in these years.
const warmUp = 4 * time.Hour

// has reads a field the slow way: *, */n, and lists of numbers and ranges.
func has(field string, n int) bool {
	if by, ok := strings.CutPrefix(field, "*"); ok {
		var step, low int
		if _, err := fmt.Sscanf(by, "/%d", &step); err != nil {
			return true
		}
		return (n-low)%step == 0
	}
	for item := range strings.SplitSeq(field, ",") {
		low, high := 0, 0
		if k, _ := fmt.Sscanf(item, "%d-%d", &low, &high); k == 1 {
			high = low
		}
		if low <= n && n <= high {
			return true
		}
	}
	return false
}

// zones are those of the database whose clocks change in 2026 or 2027, with the times of the changes.
func zones(t *testing.T) (names []string, changes map[string][]time.Time) {
	changes = map[string][]time.Time{}
	archive, err := zip.OpenReader(filepath.Join("..", "..", "cluster", "zones", "zoneinfo.zip")) // what nodes have
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		loc, err := time.LoadLocation(f.Name)
		if err != nil || strings.HasSuffix(f.Name, "/") {
			continue
		}
		offset := func(at time.Time) int {
			_, n := at.In(loc).Zone()
			return n
		}
		const day = 24 * time.Hour
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(day) {
			for hour := at; offset(at) != offset(at.Add(day)) && hour.Before(at.Add(day)); hour = hour.Add(time.Hour) {
				if offset(hour) != offset(hour.Add(time.Hour)) {
					changes[f.Name] = append(changes[f.Name], hour)
				}
			}
		}
		if len(changes[f.Name]) > 0 {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names, changes
}

// expressions around the hours in which clocks change, and the simplest ones.
var expressions = []string{
	"* * * * *", "*/7 * * * *", "30 * * * *", "0 */2 * * *", "15 */3 * * 0",
	"0 0 * * *", "30 0 * * *", "15 1 * * *", "30 1 * * *", "0 2 * * *", "15,45 2 * * *", "0 3 * * *", "* 2 * * *", "*/10 0-3 * * *",
	"30 2 29 3 *", "30 2 * * 0", "30 23 * * *", "59 23 * 10,11 6,0", "0 1 1-7 11 0", "45 2,3 * * 1-5",
}

// TestOracle_EveryZoneWhoseClocksChange compares Next and Prev with a walk over every minute of the days
// around each change of the clocks in 2026 and 2027: in a sample of zones, and with -zones in all, and there
// over the two years whole.
func TestOracle_EveryZoneWhoseClocksChange(t *testing.T) {
	names, changes := zones(t)
	if len(names) < 100 {
		t.Fatalf("only %d zones change their clocks", len(names))
	}
	if !*allZones {
		always := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll"}
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = append(always, names[:4]...)
	}
	ticks := 0
	for _, name := range names {
		loc := load(t, name)
		for i, expr := range expressions {
			if *allZones && i%4 == len(name)%4 {
				ticks += compare(t, expr, loc, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))
				continue
			}
			for _, at := range changes[name] {
				ticks += compare(t, expr, loc, at.Add(-26*time.Hour), at.Add(26*time.Hour))
			}
		}
	}
	t.Logf("%d zones, %d ticks", len(names), ticks)
}

func compare(t *testing.T, expr string, loc *time.Location, from, to time.Time) int {
	t.Helper()
	spec, err := Parse(expr, "")
	if err != nil {
		t.Fatal(err)
	}
	want := oracle(expr, loc, from, to)
	var got, back []int64
	for at := spec.Next(from.Add(-1).In(loc)); at.Before(to); at = spec.Next(at) {
		got = append(got, at.Unix())
	}
	for at := spec.Prev(to.In(loc)); !at.Before(from); at = spec.Prev(at) {
		back = append(back, at.Unix())
	}
	slices.Reverse(back)
	for name, ticks := range map[string][]int64{"Next": got, "Prev": back} {
		if !slices.Equal(ticks, want) {
			t.Errorf("%s in %v from %v to %v: %s\n got %s\nwant %s", expr, loc, from, to, name, show(ticks, loc), show(want, loc))
		}
	}
	return len(want)
}

func show(ticks []int64, loc *time.Location) string {
	var s []string
	for _, at := range ticks[:min(len(ticks), 40)] {
		s = append(s, time.Unix(at, 0).In(loc).Format("01-02 15:04 -0700"))
	}
	return strings.Join(s, ", ")
}
