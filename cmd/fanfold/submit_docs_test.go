package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

var (
	// submitOption is a function of the SDK's surface whose result goes with Submit.
	submitOption = regexp.MustCompile(`(?m)^func (\w+)\(.*\) (?:SubmitOption|AnyOption|PlainOption|JobOption)$`)
	submitRow    = regexp.MustCompile("(?m)^\\| (`[A-Z][^|]*`) \\| ([^|]*--[^|]*) \\| `([a-z_:.]+)` \\|$")
	quoted       = regexp.MustCompile("`([^`]+)`")
)

// TestDocs_EveryOptionOfASubmissionHasFlagAndField goes through the functions of the SDK that make options of
// Submit: each has a row in docs/cli.md whose flags and field of the API exist.
func TestDocs_EveryOptionOfASubmissionHasFlagAndField(t *testing.T) {
	page, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	surface, err := os.ReadFile("../../sdk/testdata/surface.txt")
	if err != nil {
		t.Fatal(err)
	}
	var a app
	flags := a.submit().Flags()
	rows := map[string]bool{}
	for _, row := range submitRow.FindAllStringSubmatch(string(page), -1) {
		for _, m := range quoted.FindAllStringSubmatch(row[1], -1) {
			rows[m[1]] = true
		}
		for _, m := range quoted.FindAllStringSubmatch(row[2], -1) {
			if flags.Lookup(strings.TrimPrefix(m[1], "--")) == nil {
				t.Errorf("%s: submit has no flag %s", row[1], m[1])
			}
		}
		if !hasField(row[3]) {
			t.Errorf("%s: the API has no field %s", row[1], row[3])
		}
	}
	all := submitOption.FindAllStringSubmatch(string(surface), -1)
	if len(all) < 20 {
		t.Fatalf("%d options were found: the test has lost the surface", len(all))
	}
	for _, m := range all {
		if !rows[m[1]] {
			t.Errorf("sdk.%s goes with Submit and has no row in the table of %s", m[1], cliPage)
		}
	}
}

// hasField finds a field of Job, or, after "graph:", of the options of a step.
func hasField(path string) bool {
	if name, ok := strings.CutPrefix(path, "graph:"); ok {
		for f := range reflect.TypeFor[dag.Options]().Fields() {
			if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
				return true
			}
		}
		return false
	}
	m := new(apiv1.Job).ProtoReflect().Descriptor()
	for name := range strings.SplitSeq(path, ".") {
		f := m.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			return false
		}
		m = f.Message()
	}
	return true
}
