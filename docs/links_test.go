package docs_test

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// link is a Markdown link; the group is its target.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinks_TargetsExist(t *testing.T) {
	count := 0
	for _, page := range files(t, ".md") {
		text := read(t, "../"+page)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			count++
			at := path.Join(path.Dir(page), target)
			if strings.HasPrefix(at, "..") {
				t.Errorf("%s links out of the repository: %s", page, m[1])
			} else if _, err := os.Stat(filepath.Join(repository, filepath.FromSlash(at))); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
	}
	if count == 0 {
		t.Error("no link was found: the test has lost the pages")
	}
}

// mention is a path of this repository in a text or a comment, of the kinds that are named most.
var mention = regexp.MustCompile("(?:^|[\\s(`\"])((?:docs|fsm|dag|engine|cluster|sdk|cmd/fanfold)/[A-Za-z0-9_./-]*\\.(?:go|md|proto|golden|txt))\\b")

// comment is a line comment of Go.
var comment = regexp.MustCompile(`(?m)^\s*//.*$`)

func TestLinks_PathsInPagesAndCommentsExist(t *testing.T) {
	for _, file := range slices.Concat(files(t, ".md"), files(t, ".go"), files(t, ".proto")) {
		text := read(t, "../"+file)
		if path.Ext(file) == ".go" {
			text = strings.Join(comment.FindAllString(text, -1), "\n")
		}
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(repository, filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s names %s, which does not exist", file, m[1])
			}
		}
	}
}

func TestReadme_CodeIsTheQuickstart(t *testing.T) {
	_, rest, found := strings.Cut(read(t, "../README.md"), "```go\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("README.md has no block of Go")
	}
	if !strings.Contains(read(t, "examples/quickstart/main.go"), code) {
		t.Error("the Go code of README.md is not that of docs/examples/quickstart/main.go")
	}
	if lines := strings.Count(code, "\n"); lines > 35 {
		t.Errorf("the program in README.md has %d lines; it should have about thirty", lines)
	}
}

func TestReadme_NamesEveryFolder(t *testing.T) {
	var named []string
	for _, row := range rows(t, "../README.md", "Folders") {
		named = append(named, link.FindStringSubmatch(row[0])[1])
	}
	var there []string
	for _, file := range files(t, ".go") {
		top, rest, _ := strings.Cut(file, "/")
		if top == "cmd" {
			sub, _, _ := strings.Cut(rest, "/")
			top += "/" + sub
		}
		if !slices.Contains(there, top) {
			there = append(there, top)
		}
	}
	slices.Sort(named)
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("README.md's table has the folders %v; with Go in them there are %v", named, there)
	}
}

// fileMax is how many lines a file may have: rooms stay small.
const fileMax = 800

func TestFiles_AreSmall(t *testing.T) {
	for _, file := range files(t, ".go") {
		text := read(t, "../"+file)
		if strings.HasSuffix(file, "_test.go") || generated(text) {
			continue
		}
		if lines := strings.Count(text, "\n"); lines > fileMax {
			t.Errorf("%s has %d lines, more than %d: divide it by what changes together", file, lines, fileMax)
		}
	}
}

func generated(text string) bool {
	return strings.HasPrefix(text, "// Code generated ") || strings.Contains(text, "\n// Code generated ")
}

func TestPackages_SayWhatTheyAre(t *testing.T) {
	said := map[string]bool{}
	for _, file := range files(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		dir := path.Dir(file)
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(repository, filepath.FromSlash(file)), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		comment := f.Doc != nil && !generated("\n"+f.Doc.Text())
		said[dir] = said[dir] || comment || path.Base(dir) == "apiv1connect" // generated whole
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}

// private are words that belong to the machine of whoever wrote a page, not to the project.
var private = regexp.MustCompile(`/(?:work|home|root|tmp)/[a-z.]`)

func TestPages_NameNoMachinePaths(t *testing.T) {
	for _, page := range files(t, ".md") {
		for i, line := range strings.Split(read(t, "../"+page), "\n") {
			if private.MatchString(line) {
				t.Errorf("%s:%d names a path of some machine: %s", page, i+1, line)
			}
		}
	}
}
