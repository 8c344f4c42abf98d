// Package docs_test keeps the pages true: what they name exists, and what they draw is what the program does.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repository is the root of the module, seen from this package.
const repository = ".."

// read returns a file by its path from this folder.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), "\r\n", "\n")
}

// section returns the text below a heading, up to the next one of any level.
func section(t *testing.T, path, heading string) string {
	t.Helper()
	lines := strings.Split(read(t, path), "\n")
	begin := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#") && strings.TrimLeft(l, "# ") == heading })
	if begin < 0 {
		t.Fatalf("%s has no section %q", path, heading)
	}
	lines = lines[begin+1:]
	if end := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#") }); end >= 0 {
		lines = lines[:end]
	}
	return strings.Join(lines, "\n")
}

// rows returns the cells of the tables below a heading, without their heads.
func rows(t *testing.T, path, heading string) (all [][]string) {
	t.Helper()
	body := false
	for _, line := range strings.Split(section(t, path, heading), "\n") {
		switch {
		case !strings.HasPrefix(line, "|"):
			body = false
		case strings.HasPrefix(line, "|---"):
			body = true
		case body:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no table below %q", path, heading)
	}
	return all
}

// files lists the repository's files whose names end in suffix, as slash paths from its root.
func files(t *testing.T, suffix string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(rel, ".") && rel != "."):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(rel, suffix):
			all = append(all, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no *%s file was found: the test has lost the repository", suffix)
	}
	return all
}
