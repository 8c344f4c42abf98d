package textfiles

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWords_AreMaximalRunsOfASCIILetters(t *testing.T) {
	var got []string
	for word := range Words([]byte("  It's 3 o'clock, naïve_Reader@[`{\n\nend")) {
		got = append(got, string(word))
	}
	want := []string{"It", "s", "o", "clock", "na", "ve", "Reader", "end"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFind_TakesTextFilesInPathOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"b.txt": "two", "a/z.txt": "one", "binary": "x\x00y", "empty": ""})
	if err := os.Symlink(filepath.Join(dir, "b.txt"), filepath.Join(dir, "link")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	c, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/z.txt", "b.txt", "empty"}, c.Files); diff != "" {
		t.Error(diff)
	}
	if c.Bytes != 6 || c.Unreadable != 0 {
		t.Errorf("bytes %d, unreadable %d; want 6, 0", c.Bytes, c.Unreadable)
	}
}

func TestFind_OfOneFileOrOfNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"one.txt": "a b"})
	if _, err := Find(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing folder was found")
	}
	c, err := Find(filepath.Join(dir, "one.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := words(t, c, 0); !cmp.Equal(got, []string{"0:a", "0:b"}) {
		t.Errorf("words of a single file: %q", got)
	}
}

// TestCut_LosesNoWord cuts random texts anywhere and finds every word once, in its file.
func TestCut_LosesNoWord(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		texts := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("aZb \n.é")), 0, 1500, -1), 1, 4).Draw(r, "texts")
		var want []string
		for i, text := range texts {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(text), 0o644); err != nil {
				r.Fatal(err)
			}
			for _, word := range bytes.FieldsFunc([]byte(text), func(c rune) bool { return c > 'z' || !letter(byte(c)) }) {
				want = append(want, fmt.Sprintf("%d:%s", i, word))
			}
		}
		c, err := Find(dir)
		if err != nil {
			r.Fatal(err)
		}
		size := rapid.Int64Range(1, 2000).Draw(r, "size")
		if diff := cmp.Diff(want, words(t, c, size)); diff != "" {
			r.Error(diff)
		}
	})
}

// words lists what the splits of the corpus yield, as file:word.
func words(t testing.TB, c *Corpus, size int64) []string {
	t.Helper()
	var all []string
	for _, split := range c.Cut(size) {
		for _, part := range split.Parts {
			data, err := split.Read(part)
			if err != nil {
				t.Fatal(err)
			}
			for word := range Words(data) {
				all = append(all, fmt.Sprintf("%d:%s", part.File, word))
			}
		}
	}
	return all
}
