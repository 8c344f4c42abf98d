package invertedindex

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPostings_KeepAscendingNumbers(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		files := rapid.SliceOfDistinct(rapid.IntRange(0, 1<<30), rapid.ID).Draw(r, "files")
		slices.Sort(files)
		words := make(builder)
		for _, file := range files {
			for range rapid.IntRange(1, 3).Draw(r, "times") {
				if err := words.add([]byte("word"), file); err != nil {
					r.Fatal(err)
				}
			}
		}
		got, err := words.index()["word"].Files()
		if err != nil {
			r.Fatal(err)
		}
		if !slices.Equal(files, got) {
			r.Errorf("files %v became %v", files, got)
		}
	})
}

func TestPostings_OutOfOrderIsRefused(t *testing.T) {
	words := make(builder)
	if err := words.add([]byte("word"), 7); err != nil {
		t.Fatal(err)
	}
	if err := words.add([]byte("word"), 6); err == nil {
		t.Error("file 6 was taken after file 7")
	}
}

func TestPostings_BrokenTextIsAnError(t *testing.T) {
	for _, broken := range []Postings{"!", "_", "A_", "____________A"} {
		if files, err := broken.Files(); err == nil {
			t.Errorf("%q was read as %v", broken, files)
		}
	}
}

func TestPostings_ShortForSmallSteps(t *testing.T) {
	words := make(builder)
	for file := range 100 {
		if err := words.add([]byte("the"), file); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(100, len(words.index()["the"])); diff != "" {
		t.Error("bytes for 100 neighbouring files:", diff)
	}
}
