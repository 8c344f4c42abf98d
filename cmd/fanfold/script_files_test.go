package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// save NAME: sets a variable to the last standard output, without the line break.
func scriptSave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: save NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// words DIR N: writes N KiB of text, in a few files, to a folder.
func scriptWords(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: words DIR KIB")
	}
	kib := mustInt(ts, args[1])
	line := "The quick brown fox's 2 cubs jump over naïve dogs_and-Cats; the end "
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	for n := range 4 {
		var text strings.Builder
		for i := 0; text.Len() < kib<<10/4; i++ {
			text.WriteString(line)
			text.WriteString(strings.Repeat("x", (i*7+n)%23))
			text.WriteString("\n")
		}
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "text"+strconv.Itoa(n)), []byte(text.String()), 0o644))
	}
}

// bigfile NAME BYTES: writes a JSON string of about so many bytes.
func scriptBigFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bigfile NAME BYTES")
	}
	size := mustInt(ts, args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(`"`+strings.Repeat("x", size)+`"`), 0o644))
}

// samehash HASHES REPLAY: every hash that a node printed is in what a replay printed, at the same index.
func scriptSameHash(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: samehash HASHES REPLAY")
	}
	replayed := make(map[string]string)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if fields := strings.Fields(line); len(fields) == 2 {
			replayed[fields[0]] = fields[1]
		}
	}
	compared := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] == "NODE" {
			continue
		}
		if replayed[fields[1]] != fields[2] {
			ts.Fatalf("at index %s the node had %s and the replay gives %q", fields[1], fields[2], replayed[fields[1]])
		}
		compared++
	}
	if compared == 0 {
		ts.Fatalf("no hash was compared")
	}
}

// counts NAME N: writes a list of one word count with N words.
func scriptCounts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: counts NAME N")
	}
	words := mustInt(ts, args[1])
	counts := make(map[string]uint64)
	for n := range words {
		counts["word"+strconv.Itoa(n)] = uint64(n + 1)
	}
	document, err := json.Marshal([]map[string]uint64{counts})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), document, 0o644))
}

// samecounts LIST RESULT: the result is the only item of the list.
func scriptSameCounts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: samecounts LIST RESULT")
	}
	var list []map[string]uint64
	var result map[string]uint64
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &list))
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &result))
	if !maps.Equal(list[0], result) {
		ts.Fatalf("%d counts became %d others", len(list[0]), len(result))
	}
}
