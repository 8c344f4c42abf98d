package docs_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestMigrate_CodeIsThatOfTheExamples: what a page shows is compiled and run, in docs/examples/migrate.
func TestMigrate_CodeIsThatOfTheExamples(t *testing.T) {
	for _, page := range migrations(t) {
		system := strings.TrimSuffix(path.Base(page), ".md")
		var code strings.Builder
		for _, file := range files(t, ".go") {
			if path.Dir(file) == "docs/examples/migrate/"+system && !strings.HasSuffix(file, "_test.go") {
				code.WriteString(read(t, "../"+file))
			}
		}
		blocks := goBlock.FindAllStringSubmatch(read(t, page), -1)
		if len(blocks) < 3 {
			t.Errorf("%s shows %d pieces of Go", page, len(blocks))
		}
		for _, m := range blocks {
			if !strings.Contains(code.String(), m[1]) {
				t.Errorf("%s has Go code that is not in docs/examples/migrate/%s:\n%s", page, system, m[1])
			}
		}
	}
}

// inSDK is a name of the SDK in a text.
var inSDK = regexp.MustCompile(`\bsdk\.([A-Z]\w*)`)

// onClient is a method of the client in a text.
var onClient = regexp.MustCompile(`\bclient\.([A-Z]\w*)`)

// TestMigrate_NamesExist: the tables name what the SDK has.
func TestMigrate_NamesExist(t *testing.T) {
	surface, _, _ := strings.Cut(read(t, "../sdk/testdata/surface.txt"), "\n# sdktest")
	has := func(pattern, name string) bool {
		return regexp.MustCompile(`(?m)^` + pattern + name + `\b`).MatchString(surface)
	}
	for _, page := range append(migrations(t), "why.md") {
		text := read(t, page)
		for _, m := range inSDK.FindAllStringSubmatch(text, -1) {
			if !has(`(func|type|const|var) `, m[1]) {
				t.Errorf("%s names sdk.%s, which does not exist", page, m[1])
			}
		}
		for _, m := range onClient.FindAllStringSubmatch(text, -1) {
			if !has(`func \(c \*Client\) `, m[1]) {
				t.Errorf("%s names client.%s, which does not exist", page, m[1])
			}
		}
	}
}

// migrations are the pages in docs/migrate.
func migrations(t *testing.T) (pages []string) {
	t.Helper()
	all, err := filepath.Glob("migrate/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		pages = append(pages, filepath.ToSlash(p))
	}
	systems, err := os.ReadDir(filepath.FromSlash("examples/migrate"))
	if err != nil || len(pages) != len(systems) {
		t.Errorf("%d pages, %d folders of examples, %v", len(pages), len(systems), err)
	}
	return pages
}
