package planted

import (
	"go/build/constraint"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared finds the bugs in fixed.go: name of the constant, place, tag.
var declared = regexp.MustCompile(`(?m)^\t// (\w+) \(law [^;]+; ([^)]+)\):.*\n\t(\w+) = bug == "(\w+)"$`)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// constraints are the build constraints of the files that say which bug there is.
func constraints(t *testing.T) map[string]constraint.Expr {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]constraint.Expr{}
	for _, file := range files {
		first, _, _ := strings.Cut(read(t, file), "\n")
		if constraint.IsGoBuild(first) && file != "fixed.go" && file != "chosen.go" {
			if all[strings.TrimSuffix(file, ".go")], err = constraint.Parse(first); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func TestBugs_EachTagChoosesItsFileAndNoTagChoosesNone(t *testing.T) {
	files := constraints(t)
	tags := []string{""}
	for _, m := range declared.FindAllStringSubmatch(read(t, "fixed.go"), -1) {
		if m[1] != m[3] || !strings.EqualFold(m[3], m[4]) {
			t.Errorf("the bug %s has the constant %s, and the comment of %s", m[4], m[3], m[1])
		}
		tags = append(tags, m[4])
	}
	if len(tags) != strings.Count(read(t, "fixed.go"), "= bug ==")+1 || len(tags) != len(files) {
		t.Fatalf("%d tags, %d files with a constraint: fixed.go, a file for each bug and none.go must agree", len(tags), len(files))
	}
	for _, tag := range tags {
		want := tag
		if tag == "" {
			want = "none"
		}
		for file, e := range files {
			if on := e.Eval(func(x string) bool { return x == "bug_"+tag }); on != (file == want) {
				t.Errorf("with the tag bug_%s, %s.go is compiled: %t", tag, file, on)
			}
		}
	}
}

func TestBugs_TwoTagsDoNotCompile(t *testing.T) {
	both, n := constraints(t), 0
	for _, e := range both {
		if e.Eval(func(x string) bool { return x == "bug_nofence" || x == "bug_rescue" }) {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d files declare the constant bug, which the compiler refuses only of two", n)
	}
}

func TestBugs_EachStandsWhereItSays(t *testing.T) {
	for _, m := range declared.FindAllStringSubmatch(read(t, "fixed.go"), -1) {
		if !regexp.MustCompile(`\bplanted\.` + m[1] + `\b`).MatchString(read(t, "../../"+m[2])) {
			t.Errorf("the bug %s is not in %s", m[1], m[2])
		}
	}
}

// line finds a constant or variable that is a bug.
var line = regexp.MustCompile(`(\w+)\s+= bug == "\w+"`)

func TestBugs_AllCanBeChosen(t *testing.T) {
	fixed, chosen := line.FindAllString(read(t, "fixed.go"), -1), line.FindAllString(read(t, "chosen.go"), -1)
	squeeze := func(all []string) string { return strings.ReplaceAll(strings.Join(all, "\n"), " ", "") }
	if squeeze(fixed) != squeeze(chosen) {
		t.Error("fixed.go and chosen.go do not have the same bugs in the same order")
	}
}
