package docs_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// testName is how the pages name a test: the package's folder, a dot, the function.
var testName = regexp.MustCompile("`([a-z][a-z/]*)\\.((?:Test|Fuzz)[A-Za-z0-9_]*)`")

// testFunc finds the tests of a file.
var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]*)\(`)

// laws is how many laws the design has.
const laws = 14

func TestLaws_NamedTestsExist(t *testing.T) {
	exist := map[string]bool{}
	for _, file := range files(t, "_test.go") {
		for _, m := range testFunc.FindAllStringSubmatch(read(t, "../"+file), -1) {
			exist[path.Dir(file)+"."+m[1]] = true
		}
	}
	for _, page := range files(t, ".md") {
		for _, m := range testName.FindAllStringSubmatch(read(t, "../"+page), -1) {
			if name := m[1] + "." + m[2]; !exist[name] {
				t.Errorf("%s names the test %s, which does not exist", page, name)
			}
		}
	}
}

func TestLaws_EachHasATestOrIsNotBuilt(t *testing.T) {
	_, body, _ := strings.Cut(read(t, "laws.md"), "\n## ")
	sections := strings.Split(body, "\n## ")
	if len(sections) != laws {
		t.Fatalf("the page has %d laws, the design %d", len(sections), laws)
	}
	for i, s := range sections {
		title, text, _ := strings.Cut(s, "\n")
		if !testName.MatchString(text) && !strings.Contains(text, "Not built yet") {
			t.Errorf("law %d (%s) has no test", i+1, title)
		}
	}
}
