package invertedindex

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestInvertedIndex(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt":   strings.Repeat("the cat ", 200), // in several splits, and once in the index
		"b.txt":   "The dog",
		"c/d.txt": "the dog and the cat",
		"empty":   "",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	result := sdktest.Run(t, InvertedIndex, Corpus{Root: dir, SplitBytes: 300}, sdktest.Workers(2))
	if diff := cmp.Diff([]string{"a.txt", "b.txt", "c/d.txt", "empty"}, result.Files); diff != "" {
		t.Error(diff)
	}
	got := make(map[string][]string)
	for word := range result.Words {
		files, err := result.Lookup(word)
		if err != nil {
			t.Fatal(err)
		}
		got[word] = files
	}
	want := map[string][]string{
		"the": {"a.txt", "c/d.txt"}, "The": {"b.txt"}, "and": {"c/d.txt"},
		"cat": {"a.txt", "c/d.txt"}, "dog": {"b.txt", "c/d.txt"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
