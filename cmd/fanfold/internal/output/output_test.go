package output

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk/api/v1"
)

func TestPrinter_TheSameMessageAsTableAndJSON(t *testing.T) {
	message := &apiv1.Queue{Name: "default", Pending: 3}
	table := func(rows *Rows) {
		rows.Add("QUEUE", "PENDING")
		rows.Add(message.GetName(), message.GetPending())
		rows.Add("two\nlines", "")
	}
	for format, want := range map[Format]string{
		Table: "QUEUE    PENDING\ndefault  3\ntwo lines\n",
		JSON:  "{\n  \"name\": \"default\",\n  \"pending\": \"3\"\n}\n",
	} {
		var out bytes.Buffer
		if err := (Printer{Out: &out, Format: format}).Message(message, table); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

func TestDuration(t *testing.T) {
	for span, want := range map[time.Duration]string{
		-time.Second: "0s", 12 * time.Millisecond: "12ms", 2500 * time.Millisecond: "2.5s", 61 * time.Second: "1m01s",
		90 * time.Minute: "1h30m", 72 * time.Hour: "3d",
	} {
		if got := Duration(span); got != want {
			t.Errorf("%v is written %q, want %q", span, got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "12": 12, "12B": 12, "1kB": 1000, "1.5MB": 1_500_000, "2 GB": 2_000_000_000, "1TB": 1_000_000_000_000} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("%q is read as %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "1MiB", "-1kB", "x"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestBytes(t *testing.T) {
	for size, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 109_100_000: "109.1 MB"} {
		if got := Bytes(size); got != want {
			t.Errorf("%d is written %q, want %q", size, got, want)
		}
	}
}
