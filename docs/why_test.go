package docs_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// painRow finds the rows of sdk/sdktest.TestPains.
var painRow = regexp.MustCompile(`(?m)^\t\{(\d+), "([^"]+)", \w+\},$`)

// impossible are the pains of other queues that the design makes impossible.
var impossible = []int{1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 27}

// TestWhy_EachPainHasItsRow compares the page with the table of scenarios: a pain has rows and quotes them,
// or says that what it needs is not built yet. That the tests named beside exist is checked for all pages.
func TestWhy_EachPainHasItsRow(t *testing.T) {
	rules := map[int][]string{}
	for _, m := range painRow.FindAllStringSubmatch(read(t, "../sdk/sdktest/pains_test.go"), -1) {
		n, _ := strconv.Atoi(m[1])
		rules[n] = append(rules[n], m[2])
	}
	_, body, _ := strings.Cut(read(t, "why.md"), "\n## Impossible by design\n")
	body, _, _ = strings.Cut(body, "\n## ")
	body = strings.Join(strings.Fields(body), " ") // a quotation may be broken over lines
	sections := map[int]string{}
	for _, s := range strings.Split(body, "### ")[1:] {
		number, text, _ := strings.Cut(s, ". ")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Errorf("the heading %.40q has no number", s)
		}
		sections[n] = text
	}
	for _, n := range impossible {
		text, ok := sections[n]
		notBuilt := strings.Contains(text, "Not built yet")
		switch {
		case !ok:
			t.Errorf("pain %d is not on the page", n)
		case notBuilt == (len(rules[n]) > 0):
			t.Errorf("pain %d: %d rows, and on the page it is not built yet: %v", n, len(rules[n]), notBuilt)
		}
		for _, rule := range rules[n] {
			if !strings.Contains(text, `"`+rule+`"`) {
				t.Errorf("pain %d: the page does not quote its row %q", n, rule)
			}
		}
		delete(rules, n)
		delete(sections, n)
	}
	for n := range rules {
		t.Errorf("there is a row for %d, which is not a pain that is impossible", n)
	}
	for n := range sections {
		t.Errorf("the page has %d among the impossible", n)
	}
}
