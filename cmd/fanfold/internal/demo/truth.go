package demo

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/docs/examples/invertedindex"
	"github.com/fanfold/fanfold/docs/examples/textfiles"
	"github.com/fanfold/fanfold/docs/examples/wordcount"
)

// truth is what a plain program finds: one loop over whole files, none of the code of the tasks.
type truth struct {
	counts map[string]uint64
	files  map[string][]int // ascending
}

// sequential reads the corpus file by file.
func sequential(corpus *textfiles.Corpus) (*truth, error) {
	t := &truth{counts: make(map[string]uint64), files: make(map[string][]int)}
	for n := range corpus.Files {
		text, err := os.ReadFile(corpus.Path(n))
		if err != nil {
			return nil, err
		}
		for _, field := range bytes.FieldsFunc(text, notLetter) {
			word := string(field)
			t.counts[word]++
			if files := t.files[word]; len(files) == 0 || files[len(files)-1] != n {
				t.files[word] = append(files, n)
			}
		}
	}
	return t, nil
}

// notLetter is false for A-Z and a-z. Bytes that are no UTF-8 come as U+FFFD, which is no letter either.
func notLetter(c rune) bool { return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') }

// compareSequential makes the sequential run, once, and compares.
func (r *run) compareSequential(counts wordcount.Counts, index invertedindex.Result) error {
	took := ""
	if r.truth == nil {
		started := time.Now()
		found, err := sequential(r.corpus)
		if err != nil {
			return fmt.Errorf("the sequential run: %w", err)
		}
		r.truth = found
		took = ", which took " + output.Duration(time.Since(started))
	}
	if err := r.truth.compareCounts(counts); err != nil {
		return fmt.Errorf("the word count differs from the sequential one: %w", err)
	}
	if err := r.truth.compareIndex(r.corpus, index); err != nil {
		return fmt.Errorf("the inverted index differs from the sequential one: %w", err)
	}
	var words uint64
	for _, n := range r.truth.counts {
		words += n
	}
	r.note("  equal: word count and index are those of a plain sequential run (%d words, %d different%s)", words, len(counts), took)
	return nil
}

func (t *truth) compareCounts(counts map[string]uint64) error {
	for word, want := range t.counts {
		if got := counts[word]; got != want {
			return fmt.Errorf("%q occurs %d times and was counted %d times", shortened(word), want, got)
		}
	}
	for word, got := range counts {
		if _, ok := t.counts[word]; !ok {
			return fmt.Errorf("%q does not occur and was counted %d times", shortened(word), got)
		}
	}
	return nil
}

func (t *truth) compareIndex(corpus *textfiles.Corpus, index invertedindex.Result) error {
	if len(index.Files) != len(corpus.Files) {
		return fmt.Errorf("there are %d files and the index has %d", len(corpus.Files), len(index.Files))
	}
	for n, name := range corpus.Files {
		if index.Files[n] != name {
			return fmt.Errorf("file %d is %s and the index calls it %s", n, name, index.Files[n])
		}
	}
	if len(index.Words) != len(t.files) {
		return fmt.Errorf("there are %d different words and the index has %d", len(t.files), len(index.Words))
	}
	for word, want := range t.files {
		got, err := index.Words[word].Files()
		if err != nil {
			return fmt.Errorf("%q: %w", shortened(word), err)
		}
		if len(got) != len(want) {
			return fmt.Errorf("%q is in %d files and the index has %d", shortened(word), len(want), len(got))
		}
		for i := range want {
			if got[i] != want[i] {
				return fmt.Errorf("%q is in %s and the index says %s", shortened(word), corpus.Files[want[i]], corpus.Files[got[i]])
			}
		}
	}
	return nil
}

// shortened keeps a monstrous word out of an error message.
func shortened(word string) string {
	const most = 60
	if len(word) > most {
		return word[:most] + "..."
	}
	return word
}
