package cron

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func load(t testing.TB, zone string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestNext_TicksOfExpressions lists ticks, and goes back over them with Prev.
func TestNext_TicksOfExpressions(t *testing.T) {
	for _, test := range []struct{ expr, zone, after, want string }{
		{"*/15 * * * *", "UTC", "2026-01-31 23:40:00", "01-31 23:45:00, 02-01 00:00:00, 02-01 00:15:00"},
		{"30 4 1,15 * 5", "UTC", "2026-05-01 00:00:00", "05-01 04:30:00, 05-08 04:30:00, 05-15 04:30:00, 05-22 04:30:00, 05-29 04:30:00, 06-01 04:30:00"},
		{"0 0 29 2 *", "UTC", "2026-01-01 00:00:00", "02-29 00:00:00 2028, 02-29 00:00:00 2032"},
		{"0 0 */2 * mon", "UTC", "2026-03-01 00:00:00", "03-09 00:00:00, 03-23 00:00:00"},
		{"0 9-17/4 * * MON-FRI", "UTC", "2026-11-20 12:00:00", "11-20 13:00:00, 11-20 17:00:00, 11-23 09:00:00"},
		{"59 23 31 dec ?", "UTC", "2026-01-01 00:00:00", "12-31 23:59:00, 12-31 23:59:00 2027"},
		{"*/20 59 * * * *", "UTC", "2026-01-01 00:00:00", "01-01 00:59:00, 01-01 00:59:20, 01-01 00:59:40, 01-01 01:59:00"},
		{"0 0 * * 7", "UTC", "2026-11-23 00:00:00", "11-29 00:00:00"},
		{"@weekly", "UTC", "2026-11-23 00:00:00", "11-29 00:00:00, 12-06 00:00:00"},
		{"@hourly", "UTC", "2026-11-23 00:00:00.5", "11-23 01:00:00"},

		// Berlin's clocks jump from 02:00 to 03:00 on 29 March, and back from 03:00 to 02:00 on 25 October.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28 00:00:00", "03-28 02:30:00 +0100, 03-29 03:00:00 +0200, 03-30 02:30:00 +0200"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00", "10-25 02:30:00 +0200, 10-26 02:30:00 +0100"},
		{"0 3 * * *", "Europe/Berlin", "2026-03-28 12:00:00", "03-29 03:00:00 +0200, 03-30 03:00:00 +0200"},
		{"*/30 2,3 * * *", "Europe/Berlin", "2026-03-29 00:00:00", "03-29 03:00:00 +0200, 03-29 03:30:00 +0200, 03-30 02:00:00 +0200"},
		{"30 * * * *", "Europe/Berlin", "2026-03-29 01:00:00", "03-29 01:30:00 +0100, 03-29 03:30:00 +0200"},
		{"30 * * * *", "Europe/Berlin", "2026-10-25 01:00:00", "10-25 01:30:00 +0200, 10-25 02:30:00 +0200, 10-25 02:30:00 +0100, 10-25 03:30:00 +0100"},
		{"0 */2 * * *", "Europe/Berlin", "2026-10-25 00:00:00", "10-25 02:00:00 +0200, 10-25 02:00:00 +0100, 10-25 04:00:00 +0100"},

		// Lord Howe moves by half an hour; Cairo and Beirut at midnight, so that a date begins at one.
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00:00", "10-04 02:30:00 +1100, 10-05 02:15:00 +1100"},
		{"0 0 * * *", "Africa/Cairo", "2026-04-23 12:00:00", "04-24 01:00:00 +0300, 04-25 00:00:00 +0300"},
		{"30 23 * * *", "Africa/Cairo", "2026-10-29 12:00:00", "10-29 23:30:00 +0300, 10-30 23:30:00 +0200"},
		// Samoa left out the 30th of December 2011.
		{"0 12 * * *", "Pacific/Apia", "2011-12-29 00:00:00", "12-29 12:00:00 -1000, 12-31 00:00:00 +1400, 12-31 12:00:00 +1400"},
	} {
		spec, err := Parse(test.expr, "")
		if err != nil {
			t.Error(err)
			continue
		}
		at, err := time.ParseInLocation("2006-01-02 15:04:05", test.after, load(t, test.zone))
		if err != nil {
			t.Fatal(err)
		}
		year := at.Year()
		for want := range strings.SplitSeq(test.want, ", ") {
			next := spec.Next(at)
			layout := "01-02 15:04:05"
			if test.zone != "UTC" {
				layout += " -0700"
			}
			if next.Year() != year {
				layout += " 2006"
			}
			if got := next.Format(layout); got != want {
				t.Errorf("%s in %s: after %v comes %s, want %s", test.expr, test.zone, at, got, want)
				break
			}
			if at.Equal(spec.Prev(next)) != (spec.Prev(at.Add(1)) == at) {
				t.Errorf("%s in %s: before %v is %v, not %v", test.expr, test.zone, next, spec.Prev(next), at)
			}
			at = next
		}
	}
}

// TestParse_MistakesAreNamed: an expression that is wrong says where.
func TestParse_MistakesAreNamed(t *testing.T) {
	for expr, want := range map[string]string{
		"":                      "0 fields",
		"* * * *":               "4 fields",
		"* * * * * * *":         "7 fields",
		"60 24 32 13 8":         "minute \"60\": \"60\" is not from 0 to 59\nhour \"24\": \"24\" is not from 0 to 23\nday of month \"32\"",
		"* * * jam *":           "not from 1 to 12 or jan to dec",
		"*/0 * * * *":           "the step \"0\"",
		"5-1 * * * *":           "5 is after 1",
		"* * * * fri-mon":       "write two ranges",
		"1,,2 * * * *":          `"" is not from 0 to 59`,
		"+1 * * * *":            `"+1" is not`,
		"0 0 31 2,4 *":          "never ticks",
		"0 0 30 2 *":            "never ticks",
		"0 0 L * *":             `"l" is not from 1 to 31`,
		"@every 5m":             "give it as every",
		"@reboot":               "use @yearly",
		"CRON_TZ=UTC * * * * *": "zone of the schedule",
	} {
		_, err := Parse(expr, "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", expr, err, want)
		}
	}
}

// TestParse_SpreadIsByTheSeed: ~ chooses for each seed one number of the range, always the same.
func TestParse_SpreadIsByTheSeed(t *testing.T) {
	seen := map[uint64]bool{}
	for _, seed := range []string{"a", "b", "c", "d", "e", "f"} {
		one, err := Parse("10~49 ~ * * *", seed)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Parse("10~49 ~ * * *", seed)
		if *one != *again || up(one.minute, 0) < 10 || down(one.minute, 59) > 49 || one.minute&(one.minute-1) != 0 || one.real {
			t.Errorf("seed %s: %+v and %+v", seed, one, again)
		}
		seen[one.minute] = true
	}
	if len(seen) < 3 {
		t.Errorf("six seeds share %d minutes", len(seen))
	}
}

func TestEvery_TicksAreAnchored(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	e := Every{Anchor: at(1_000), Interval: 300 * time.Millisecond}
	for _, test := range []struct{ at, next, prev int64 }{
		{1000, 1300, 700}, {1001, 1300, 1000}, {1299, 1300, 1000}, {1300, 1600, 1000}, {999, 1000, 700}, {700, 1000, 400}, {699, 700, 400},
	} {
		if next, prev := e.Next(at(test.at)), e.Prev(at(test.at)); next.UnixMilli() != test.next || prev.UnixMilli() != test.prev {
			t.Errorf("at %d: next %d, prev %d; want %d and %d", test.at, next.UnixMilli(), prev.UnixMilli(), test.next, test.prev)
		}
	}
}
