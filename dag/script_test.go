package dag

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs the scripts of testdata: a verb, its input, and what it must print. Run with
// -rewrite to write anew what they print; read the difference before you commit it.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			verb, ok := verbs[d.Cmd]
			if !ok {
				d.Fatalf(t, "unknown verb %q", d.Cmd)
			}
			out := verb(t, d)
			if !strings.HasSuffix(out, "\n") {
				out += "\n"
			}
			return out
		})
	})
}

var verbs = map[string]func(*testing.T, *datadriven.TestData) string{
	"build":    runBuild,
	"decode":   runDecode,
	"parse":    runParse,
	"progress": runProgress,
	"tree":     runTree,
	"list":     runList,
	"render":   runRender,
	"check":    runCheck,
	"retry":    runRetry,
}

// describe prints the text form and, per step, what the text has no room for.
func describe(g *Graph, err error) string {
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintln(&b, g)
	for id := range StepID(g.Len()) {
		fmt.Fprintf(&b, "%d %s <- %s", id, g.Step(id).Name, g.Step(id).Input)
		if g.Streams(id) {
			b.WriteString(" (streams)")
		}
		fmt.Fprintf(&b, " needs %v frees %v\n", g.Dependencies(id), g.Dependents(id))
	}
	fmt.Fprintf(&b, "output %s\n", g.Output)
	return b.String()
}

// runBuild hands the steps of a JSON graph to a Builder, in the order given.
func runBuild(t *testing.T, d *datadriven.TestData) string {
	var in Graph
	if err := json.Unmarshal([]byte(d.Input), &in); err != nil {
		d.Fatalf(t, "%v", err)
	}
	b := NewBuilder(in.Name)
	for _, s := range in.Steps {
		b.add(s.Name, s.Kind, s)
	}
	b.Output(in.Output)
	return describe(b.Build())
}

func runDecode(_ *testing.T, d *datadriven.TestData) string {
	g, err := Decode([]byte(d.Input))
	if err != nil {
		return err.Error()
	}
	return string(Encode(g))
}

func runParse(_ *testing.T, d *datadriven.TestData) string {
	return describe(Parse(d.Input))
}

// runProgress ends the steps named by done=(a,b), in this order, and prints what each makes ready.
func runProgress(t *testing.T, d *datadriven.TestData) string {
	g, err := Parse(d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	left := make([]int, g.Len())
	var b strings.Builder
	b.WriteString("start:")
	for id := range StepID(g.Len()) {
		if left[id] = len(g.Dependencies(id)); left[id] == 0 {
			b.WriteString(" " + g.Step(id).Name)
		}
	}
	var done []string
	for _, arg := range d.CmdArgs {
		if arg.Key == "done" {
			done = arg.Vals
		}
	}
	for _, name := range done {
		id, ok := g.Lookup(name)
		if !ok {
			d.Fatalf(t, "no step %q", name)
		}
		fmt.Fprintf(&b, "\n%s:", name)
		g.Release(id, func(s StepID) int { left[s]--; return left[s] }, func(s StepID) { b.WriteString(" " + g.Step(s).Name) })
	}
	return b.String()
}

func runTree(t *testing.T, d *datadriven.TestData) string {
	var tree Tree
	d.ScanArgs(t, "leaves", &tree.Leaves)
	d.ScanArgs(t, "fanin", &tree.FanIn)
	var b strings.Builder
	for level := 1; level <= tree.Levels(); level++ {
		width := tree.Width(level)
		fmt.Fprintf(&b, "level %d: %d nodes", level, width)
		for i := range min(width, 8) {
			first, count := tree.Children(Node{level, i})
			fmt.Fprintf(&b, " [%d+%d]", first, count)
		}
		last := Node{level, width - 1}
		first, count := tree.Children(last)
		parent, ok := tree.Parent(last)
		fmt.Fprintf(&b, "; last: %d+%d, shard %x, parent %v %v\n", first, count, last.Shard(), parent, ok)
	}
	fmt.Fprintf(&b, "root %v\n", tree.Root())
	return b.String()
}

// runList prints the items of an expression over the values of its input lines, each with the cursor
// after it. Every item is asked of a fresh List.
func runList(t *testing.T, d *datadriven.TestData) string {
	e, values := readValues(t, d)
	var b strings.Builder
	var c Cursor
	for {
		l, err := NewList(&e, values)
		if err != nil {
			return b.String() + err.Error()
		}
		item, next, ok, err := l.Next(c)
		if err != nil {
			return b.String() + err.Error()
		}
		if !ok {
			count, err := l.Count()
			if err != nil {
				return b.String() + err.Error()
			}
			fmt.Fprintf(&b, "end %d, count %d", next, count)
			return b.String()
		}
		fmt.Fprintf(&b, "%s %d\n", item, next)
		c = next
	}
}

func runRender(t *testing.T, d *datadriven.TestData) string {
	e, values := readValues(t, d)
	var b strings.Builder
	if err := Render(&b, &e, values); err != nil {
		return err.Error()
	}
	return b.String()
}

func runCheck(_ *testing.T, d *datadriven.TestData) string {
	if err := Check(Bytes(d.Input)); err != nil {
		return err.Error()
	}
	return "ok"
}

func runRetry(t *testing.T, d *datadriven.TestData) string {
	var r Retry
	if err := json.Unmarshal([]byte(d.Input), &r); err != nil {
		d.Fatalf(t, "%v", err)
	}
	var seed uint64
	d.MaybeScanArgs(t, "seed", &seed)
	var out []string
	for _, n := range []uint32{0, 1, 2, 3, 4, 10, 17, 18, 100, 1 << 31, 1<<32 - 1} {
		out = append(out, fmt.Sprintf("%d: %d", n, r.DelayMS(n, seed)))
	}
	return strings.Join(out, "\n")
}
