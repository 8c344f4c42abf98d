package dag_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fanfold/fanfold/dag"
)

// staircase is the law of imports. "a < b" means that b may import a, and all that a may import. A
// package in a sub-directory stands on the floor of its parent, unless it has its own line.
//
// It holds because a change below then never has to be thought through above, and a user of the SDK
// pays for an HTTP client and nothing else. Do not add an edge to make a build pass: move the code
// to the floor that it belongs to, or hand it down as a parameter. An edge that the design really
// needs is added here, with its reason in docs/decisions/.
const staircase = `
	dag, fsm/fsmpb, fsm/planted         <  fsm
	fsm                                 <  engine
	sdk/api/v1                          <  sdk/api/v1/apiv1connect
	engine, cluster/webhook, sdk/api/v1/apiv1connect  <  cluster
	dag, cluster/webhook, sdk/api/v1/apiv1connect     <  sdk
	sdk, cluster                        <  sdk/sdktest
	sdk                                 <  docs/examples
	sdk                                 <  cmd/fanfold-peer
	sdk, cluster, sdk/sdktest, docs/examples  <  jepsen-lite
	jepsen-lite                         <  cmd/fanfold
`

// bans forbid what the floors cannot: packages from outside, and calls. "a/..." is a and all below it;
// a path with a dot at its end is a call in that package; "go" is the go statement.
var bans = []ban{
	{floor: "dag", what: []string{"outside"}, why: "dag is the ground floor, and imports the standard library only"},
	{floor: "dag", what: pureBans, why: "dag computes the same on every replica, now and in ten years"},
	{floor: "fsm", what: pureBans, why: "the state machine is a function of the log: a clock, randomness, the network, the disk of this machine or a second goroutine would make replicas differ. Time comes in the entry, ids from the submitter, files by vfs.FS"},
	{floor: "fsm", what: []string{"log", "github.com/hashicorp/..."}, why: "the state machine knows no Raft, and logs to the slog.Logger it is given; cluster adapts it"},
	{floor: "engine", what: []string{"net/...", "os", "connectrpc.com/...", "github.com/hashicorp/..."}, why: "the engine runs over its Log interface, so that tests run it without Raft and without ports"},
	{floor: "cluster/webhook", what: []string{"outside"}, why: "whoever receives webhooks may import it, and pays for the standard library only"},
	{floor: "sdk", what: []string{"github.com/hashicorp/...", "github.com/cockroachdb/...", "go.etcd.io/..."}, why: "who imports the SDK pays for an HTTP client, not for a database"},
	{floor: "docs/examples", what: []string{"github.com/hashicorp/...", "github.com/cockroachdb/...", "go.etcd.io/..."}, why: "examples are what a user writes"},
}

var pureBans = []string{
	"os", "os/...", "net", "net/...", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "go",
	"time.Now.", "time.Since.", "time.Until.", "time.Sleep.", "time.After.", "time.AfterFunc.", "time.NewTimer.", "time.NewTicker.", "time.Tick.",
}

type ban struct {
	floor string
	what  []string
	why   string
}

// forbiddenNames say nothing about what a package is for, so everything ends up in them.
var forbiddenNames = []string{"util", "utils", "common", "types", "helpers", "helper", "models", "misc"}

const module = "github.com/fanfold/fanfold"

// TestImports_KeepTheStaircase checks every file of the module but tests, which may import what they
// like: the compiler sees to it that they make no cycles.
func TestImports_KeepTheStaircase(t *testing.T) {
	root := os.DirFS("..")
	problems, files := checkImports(t, root)
	for _, p := range problems {
		t.Error(p)
	}
	if files < 10 {
		t.Errorf("only %d files were checked: the test has lost the module", files)
	}
}

// law is the staircase, read by a graph in which each floor comes after those it may import.
type law struct {
	below map[string]map[string]bool // floor -> floors that it may import, itself included
}

func readLaw(t *testing.T) law {
	after := map[string][]string{}
	var floors []string
	for line := range strings.Lines(strings.TrimSpace(staircase)) {
		lower, upper, ok := strings.Cut(line, "<")
		if !ok {
			t.Fatalf("the law's line %q has no <", line)
		}
		upper = strings.TrimSpace(upper)
		for floor := range strings.SplitSeq(lower, ",") {
			floor = strings.TrimSpace(floor)
			after[upper] = append(after[upper], floor)
			floors = append(floors, floor)
		}
		floors = append(floors, upper)
	}
	slices.Sort(floors)
	b := dag.NewBuilder("staircase")
	for _, floor := range slices.Compact(floors) {
		b.Task(floor, dag.Step{Task: "package", Input: dag.Input(), After: after[floor]})
	}
	b.Output(dag.Input())
	g, err := b.Build() // names a cycle, if the law has one
	if err != nil {
		t.Fatal(err)
	}
	l := law{below: map[string]map[string]bool{}}
	for id := range dag.StepID(g.Len()) {
		below := map[string]bool{g.Step(id).Name: true}
		for _, d := range g.Dependencies(id) {
			for name := range l.below[g.Step(d).Name] {
				below[name] = true
			}
		}
		l.below[g.Step(id).Name] = below
	}
	return l
}

// floor is the floor of a package: its own line, or that of the nearest directory above.
func (l law) floor(pkg string) (string, bool) {
	for at := pkg; at != "."; at = path.Dir(at) {
		if _, ok := l.below[at]; ok {
			return at, true
		}
	}
	return "", false
}

// checkImports checks the Go files of a tree, and tells how many it read.
func checkImports(t *testing.T, root fs.FS) (problems []string, files int) {
	l := readLaw(t)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "vendor") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files++
		problems = append(problems, l.checkFile(name, src)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return problems, files
}

func (l law) checkFile(name string, src []byte) (problems []string) {
	pkg := path.Dir(name)
	floor, ok := l.floor(pkg)
	if !ok {
		return []string{fmt.Sprintf("%s: the package %s is on no floor of the staircase: give it a line in dag/imports_test.go", name, pkg)}
	}
	mode := parser.ImportsOnly
	if floor == "fsm" || floor == "dag" {
		mode = parser.SkipObjectResolution // calls are looked at too
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, src, mode)
	if err != nil {
		return []string{err.Error()}
	}
	add := func(at token.Pos, format string, args ...any) {
		pos := set.Position(at)
		problems = append(problems, fmt.Sprintf("%s:%d: ", name, pos.Line)+fmt.Sprintf(format, args...))
	}
	for _, bad := range []string{path.Base(pkg), file.Name.Name} {
		if slices.Contains(forbiddenNames, bad) {
			add(file.Name.Pos(), "a package named %s may hold anything: name it for what it is about", bad)
			break
		}
	}
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return append(problems, err.Error())
		}
		if inside, ok := strings.CutPrefix(target, module+"/"); ok {
			if to, ok := l.floor(inside); ok && !l.below[floor][to] {
				add(spec.Pos(), "%s may not import %s: the staircase has no way down from %s to %s; move the code to the floor it belongs to, or hand it down as a parameter (dag/imports_test.go)", pkg, inside, floor, to)
			}
		}
		checkBans(floor, target, func(why string) { add(spec.Pos(), "%s may not import %s: %s", pkg, target, why) })
	}
	checkCalls(file, floor, func(at token.Pos, what, why string) { add(at, "%s may not use %s: %s", pkg, what, why) })
	return problems
}

// checkBans reports the bans that a floor has on an import, a call or a statement.
func checkBans(floor, target string, report func(why string)) {
	first, _, _ := strings.Cut(target, "/")
	outside := strings.Contains(first, ".") && !strings.HasPrefix(target, "time.")
	for _, b := range bans {
		if b.floor == floor && slices.ContainsFunc(b.what, func(what string) bool {
			prefix, tree := strings.CutSuffix(what, "/...")
			return what == target || what == "outside" && outside || tree && strings.HasPrefix(target, prefix+"/")
		}) {
			report(b.why)
		}
	}
}

// checkCalls looks for banned functions of package time, under whatever name it is imported, and for
// go statements.
func checkCalls(file *ast.File, floor string, report func(at token.Pos, what, why string)) {
	clock := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == `"time"` && spec.Name != nil && spec.Name.Name == "." {
			checkBans(floor, "time.Now.", func(why string) { report(spec.Pos(), "time without its name", why) })
		}
		if spec.Path.Value == `"time"` {
			clock = "time"
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			checkBans(floor, "go", func(why string) { report(n.Pos(), "a go statement", why) })
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && clock != "" && x.Name == clock {
				checkBans(floor, "time."+n.Sel.Name+".", func(why string) { report(n.Pos(), "time."+n.Sel.Name, why) })
			}
		}
		return true
	})
}

// TestImports_ViolationsAreFound runs the checker on files that break the law, each in its own way,
// and on files that keep it.
func TestImports_ViolationsAreFound(t *testing.T) {
	const inside = module + "/"
	for _, test := range []struct{ name, src, want string }{
		{"dag/a.go", `package dag; import "` + inside + `fsm"`, "no way down from dag to fsm"},
		{"dag/a.go", `package dag; import "github.com/google/btree"`, "the standard library only"},
		{"dag/a.go", `package dag; func f() { go f() }`, "a go statement"},
		{"fsm/a.go", `package fsm; import "` + inside + `engine"`, "no way down from fsm to engine"},
		{"fsm/a.go", `package fsm; import "github.com/hashicorp/raft"`, "knows no Raft"},
		{"fsm/a.go", `package fsm; import "os"`, "may not import os"},
		{"fsm/a.go", `package fsm; import "net/http"`, "may not import net/http"},
		{"fsm/a.go", `package fsm; import "math/rand/v2"`, "may not import math/rand/v2"},
		{"fsm/a.go", `package fsm; import "crypto/rand"`, "may not import crypto/rand"},
		{"fsm/a.go", "package fsm\nimport \"time\"\nvar t = time.Now()", "a.go:3: fsm may not use time.Now"},
		{"fsm/a.go", `package fsm; import clock "time"; var f = clock.Since`, "time.Since"},
		{"fsm/a.go", `package fsm; import . "time"; var f = Now`, "time without its name"},
		{"fsm/keys/a.go", `package keys; func f() { go f() }`, "fsm/keys may not use a go statement"},
		{"fsm/a.go", `package fsm; import "time"; var d time.Duration = time.Second`, ""},
		{"fsm/a.go", `package fsm; import "` + inside + `dag"`, ""},
		{"engine/a.go", `package engine; import "` + inside + `sdk/api/v1"`, "no way down from engine to sdk/api/v1"},
		{"engine/a.go", `package engine; import "net/http"`, "without ports"},
		{"engine/a.go", `package engine; import "` + inside + `dag"`, ""},
		{"cluster/a.go", `package cluster; import "` + inside + `sdk"`, "no way down from cluster to sdk"},
		{"sdk/api/v1/a.go", `package apiv1; import "` + inside + `dag"`, "no way down from sdk/api/v1 to dag"},
		{"sdk/a.go", `package sdk; import "` + inside + `cluster"`, "no way down from sdk to cluster"},
		{"sdk/a.go", `package sdk; import "` + inside + `sdk/sdktest"`, "no way down from sdk to sdk/sdktest"},
		{"sdk/inner/a.go", `package inner; import "` + inside + `fsm/fsmpb"`, "no way down from sdk to fsm/fsmpb"},
		{"sdk/a.go", `package sdk; import "github.com/cockroachdb/pebble/v2"`, "not for a database"},
		{"sdk/sdktest/a.go", `package sdktest; import "` + inside + `cluster"`, ""},
		{"docs/examples/chain/a.go", `package chain; import "` + inside + `sdk/sdktest"`, "no way down from docs/examples to sdk/sdktest"},
		{"docs/examples/chain/a.go", `package chain; import "` + inside + `docs/examples/local"`, ""},
		{"docs/examples/chain/a.go", `package chain; import "` + inside + `jepsen-lite/checks"`, "no way down from docs/examples to jepsen-lite"},
		{"cmd/fanfold/a.go", `package main; import "` + inside + `engine"`, ""},
		{"jepsen-lite/a.go", `package main; import "` + inside + `cmd/fanfold/internal/exit"`, "no way down from jepsen-lite to cmd/fanfold"},
		{"engine/util/a.go", `package util`, "may hold anything"},
		{"engine/words/a.go", `package types`, "may hold anything"},
		{"tools/a.go", `package tools`, "on no floor"},
		{"sdk/a.go", `package sdk; import (`, "a.go:1:"},
	} {
		problems := readLaw(t).checkFile(test.name, []byte(test.src))
		if got := strings.Join(problems, "\n"); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %s\n got %q\nwant %q", test.name, test.src, got, test.want)
		}
	}
}

// TestImports_TestsAndTestdataAreLeftOut writes a tree to show which files are read.
func TestImports_TestsAndTestdataAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{
		"fsm/good.go":         `package fsm`,
		"fsm/bad_test.go":     `package fsm; import "os"`,
		"fsm/testdata/bad.go": `package bad; import "os"`,
		".hidden/bad.go":      `package bad`,
		"fsm/clock/bad.go":    `package clock; import "os"`,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	problems, files := checkImports(t, os.DirFS(dir))
	if files != 2 || len(problems) != 1 || !strings.Contains(problems[0], "fsm/clock/bad.go:1") {
		t.Errorf("%d files, problems %q; want 2 files and one problem, in fsm/clock", files, problems)
	}
}
