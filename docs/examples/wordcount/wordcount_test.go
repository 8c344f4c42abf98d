package wordcount

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

func TestWordCount(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt": strings.Repeat("to be or not to be ", 300),
		"b.txt": "To be\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := sdktest.Run(t, WordCount, Corpus{Root: dir, SplitBytes: 100}, sdktest.Workers(2),
		sdktest.FailFirst(Count, 3, errors.New("disk is slow")), sdktest.LoseLease(Count, 2))
	want := Counts{"to": 600, "be": 601, "or": 300, "not": 300, "To": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWordCount_OfAFolderThatIsNotThereFailsAtOnce(t *testing.T) {
	_, err := sdktest.Try(t, WordCount, Corpus{Root: filepath.Join(t.TempDir(), "nothing")})
	if !errors.Is(err, sdk.ErrJobFailed) {
		t.Errorf("the job ended with %v", err)
	}
}

func TestMergeCounts_OfNothingIsEmpty(t *testing.T) {
	got, err := MergeCounts(context.Background(), nil)
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}
