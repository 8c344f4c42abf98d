package docs_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// name is a word in the style of code that could be a function.
var name = regexp.MustCompile("`([A-Za-z]+)`")

// TestLifeOfAJob_FunctionsAreInTheFilesBesideThem reads each row of the page: a function that it names is in a
// file that it links to. That the files exist is checked by TestLinks_TargetsExist.
func TestLifeOfAJob_FunctionsAreInTheFilesBesideThem(t *testing.T) {
	const page = "life-of-a-job.md"
	all := slices.Concat(rows(t, page, "The life of a job"), rows(t, page, "Where it turns off"))
	checked := 0
	for _, row := range all {
		var code strings.Builder
		var linked []string
		for _, m := range link.FindAllStringSubmatch(strings.Join(row, " "), -1) {
			linked = append(linked, m[1])
			if path.Ext(m[1]) == ".go" {
				code.WriteString(read(t, m[1]))
			}
		}
		if len(linked) == 0 {
			t.Errorf("the row %q names no file", row)
		}
		for _, m := range name.FindAllStringSubmatch(row[len(row)-1], -1) {
			checked++
			if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + m[1] + `[\[(]`).MatchString(code.String()) {
				t.Errorf("the page says that %s is in %v; no function of that name is there", m[1], linked)
			}
		}
	}
	if checked < 5 {
		t.Errorf("%d functions are named: the test has lost the page", checked)
	}
}
