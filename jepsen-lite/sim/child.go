package sim

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"runtime/debug"
	"testing"
)

// testing/synctest needs a *testing.T, so a bubble is a test, in a program that is none. testing.Main is what
// the package has for that. It ends the process when the tests are done, which suits a process that runs plans
// for another one, and that one survives what kills it: a panic in some goroutine of a node, a deadlock.

// Serve runs the plans that come on in, one JSON object a line, and writes a Result for each to out. It never
// returns: the process ends with in.
func Serve(in io.Reader, out io.Writer) {
	testing.Init()
	if err := flag.CommandLine.Parse([]string{"-test.timeout=0"}); err != nil {
		panic(err)
	}
	serve := testing.InternalTest{Name: "sim", F: func(t *testing.T) {
		plans, results := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
		for {
			var p Plan
			if err := plans.Decode(&p); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			if err := results.Encode(simulate(t, p, quiet)); err != nil {
				t.Fatal(err)
			}
		}
	}}
	debug.SetGCPercent(400) // a plan's garbage is small, and there are two collections after each
	os.Stdout = os.Stderr   // what package testing has to say is nobody's result
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{serve}, nil, nil)
}

// Environment is what a process that runs plans has in its environment: one thread, so that goroutines take
// turns in one way rather than another, and a source of chance that can be seeded.
var Environment = []string{"GOMAXPROCS=1", "GODEBUG=randseednop=0,asyncpreemptoff=1"}
