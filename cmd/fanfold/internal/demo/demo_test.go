package demo

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/docs/examples/invertedindex"
	"github.com/fanfold/fanfold/docs/examples/textfiles"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// library is a corpus of two small files and what is true of it.
func library(t *testing.T) (*textfiles.Corpus, *truth) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "\n the cat's the", "b": "the dog na\xc3\xafve \xff x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	corpus, err := textfiles.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := sequential(corpus)
	if err != nil {
		t.Fatal(err)
	}
	return corpus, found
}

var (
	libraryCounts = map[string]uint64{"the": 3, "cat": 1, "s": 1, "dog": 1, "na": 1, "ve": 1, "x": 1}
	libraryFiles  = map[string][]int{"the": {0, 1}, "cat": {0}, "s": {0}, "dog": {1}, "na": {1}, "ve": {1}, "x": {1}}
)

func TestSequential(t *testing.T) {
	_, found := library(t)
	if diff := cmp.Diff(libraryCounts, found.counts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(libraryFiles, found.files); diff != "" {
		t.Error(diff)
	}
}

func TestShellCount_FindsWhatTheSequentialRunFinds(t *testing.T) {
	for _, tool := range []string{"sh", "tr", "sort", "uniq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	corpus, _ := library(t)
	sum := make(map[string]uint64)
	for n := range corpus.Files {
		counts, err := shellCount(context.Background(), corpus.Path(n))
		if err != nil {
			t.Fatal(err)
		}
		for word, n := range counts {
			sum[word] += n
		}
	}
	if diff := cmp.Diff(libraryCounts, sum); diff != "" {
		t.Error(diff)
	}
}

// Every kind of wrong answer must be found.
func TestCompareCounts_FindsEachDifference(t *testing.T) {
	_, found := library(t)
	if err := found.compareCounts(libraryCounts); err != nil {
		t.Error("the right counts are refused:", err)
	}
	for name, spoil := range map[string]func(map[string]uint64){
		"too many": func(c map[string]uint64) { c["the"]++ },
		"missing":  func(c map[string]uint64) { delete(c, "dog") },
		"invented": func(c map[string]uint64) { c["unicorn"] = 1 },
	} {
		counts := make(map[string]uint64)
		for word, n := range libraryCounts {
			counts[word] = n
		}
		spoil(counts)
		if err := found.compareCounts(counts); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestCompareIndex_FindsEachDifference(t *testing.T) {
	corpus, found := library(t)
	right := func() invertedindex.Result {
		return invertedindex.Result{Files: []string{"a", "b"}, Words: invertedindex.Index{
			"the": "BB", "cat": "B", "s": "B", "dog": "C", "na": "C", "ve": "C", "x": "C",
		}}
	}
	if err := found.compareIndex(corpus, right()); err != nil {
		t.Error("the right index is refused:", err)
	}
	for name, spoil := range map[string]func(*invertedindex.Result){
		"file missing":     func(r *invertedindex.Result) { r.Files = r.Files[:1] },
		"file renamed":     func(r *invertedindex.Result) { r.Files[1] = "c" },
		"posting missing":  func(r *invertedindex.Result) { r.Words["the"] = "B" },
		"posting wrong":    func(r *invertedindex.Result) { r.Words["dog"] = "B" },
		"postings broken":  func(r *invertedindex.Result) { r.Words["x"] = "!" },
		"word missing":     func(r *invertedindex.Result) { delete(r.Words, "x") },
		"word exchanged":   func(r *invertedindex.Result) { delete(r.Words, "x"); r.Words["y"] = "C" },
		"one word invents": func(r *invertedindex.Result) { r.Words["unicorn"] = "B" },
	} {
		index := right()
		spoil(&index)
		if err := found.compareIndex(corpus, index); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestMonitor_MeasuresTheOutage(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	says := func(leader string, term, completions uint64) *apiv1.ClusterStatusResponse {
		return &apiv1.ClusterStatusResponse{LeaderId: leader, Term: term, Counters: &apiv1.Counters{Completions: completions}}
	}
	m := &monitor{}
	m.take("n1", says("n1", 2, 10), at(0))
	m.leaderKilled("n1")
	m.open.killedAt = at(100)
	m.take("n2", says("n1", 2, 12), at(110)) // what n1 had still replicated
	m.take("n2", says("", 3, 12), at(500))   // a candidate
	m.take("n3", says("n2", 3, 12), at(900)) // hearsay
	m.take("n2", says("n2", 3, 12), at(1000))
	m.take("n2", says("n2", 3, 13), at(1020))
	m.take("n2", says("n2", 3, 14), at(1030))
	got := m.measured()
	want := &outage{killed: "n1", killedAt: at(100), term: 2, lastBefore: at(110), leader: "n2", leaderAt: at(1000), progressAt: at(1020)}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outage{})); diff != "" {
		t.Error(diff)
	}
	if m.measured() != nil {
		t.Error("the outage is measured twice")
	}
}

func TestPlan_RandomVictimsAreThereToKill(t *testing.T) {
	r := &run{Config: Config{Kill: Random, Nodes: 1}, random: rand.New(rand.NewPCG(1, 2))}
	for range 50 {
		if f := r.plan(0); f.victim == Follower || f.inMap || f.at < 0 || f.at >= 1 {
			t.Errorf("planned %+v for one node", f)
		}
	}
	if f := (&run{Config: Config{Kill: Leader}}).plan(0); f.victim != Leader || !f.inMap || f.at != 0.5 {
		t.Errorf("the first round plans %+v, want the leader in the middle of the map", f)
	}
}

func TestTally_WaitsUntilTheMapsAreLaidOut(t *testing.T) {
	jobs := []*apiv1.JobStatus{
		{Steps: []*apiv1.StepStatus{{Kind: "task", Succeeded: 1, Total: 1}, {Kind: "map", Succeeded: 2, Total: 8}}},
		{Steps: []*apiv1.StepStatus{{Kind: "task", Total: 1}, {Kind: "map"}}},
	}
	if _, total := tally(jobs, false); total != 0 {
		t.Errorf("%d tasks are known before the second map is", total)
	}
	if done, total := tally(jobs, true); done != 2 || total != 8 {
		t.Errorf("the first map is at %d of %d, want 2 of 8", done, total)
	}
	jobs[1].Steps[1].Total = 5
	if done, total := tally(jobs, false); done != 3 || total != 15 {
		t.Errorf("all is at %d of %d, want 3 of 15", done, total)
	}
}

func TestShortened(t *testing.T) {
	if got := shortened(strings.Repeat("x", 1000)); len(got) > 70 {
		t.Errorf("%d characters are left", len(got))
	}
}
