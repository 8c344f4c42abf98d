package workload

import (
	"math/rand/v2"
	"strconv"

	"github.com/fanfold/fanfold/sdk"
)

// verb is what one line of a sketch does.
type verb int

const (
	thenVerb     verb = iota // number -> number
	nestedVerb               // number -> number
	zipVerb                  // two numbers -> number
	joinVerb                 // three numbers -> number
	eachVerb                 // number -> list -> number: fan, each, fold
	tolerantVerb             // the same, where items that die go missing
	settledVerb              // the same, where items that die are values
	chunkVerb                // the same, over lists of lists
	constVerb                // a list that is in the graph, each, fold to another type
	verbs        = int(constVerb) + 1
)

// line is a part of a graph that gives one number. Its steps have names that begin with its own.
type line struct {
	verb  verb
	args  []int // lines before it; 0 is the job's input
	after []int // lines before it that it waits for
	n     int   // how wide: parallelism, chunk, fan-in
}

func (l line) name(i int) string { return "s" + strconv.Itoa(i) }

// sketch is a random graph, from which both the workflow and what it must come to are made.
type sketch struct {
	seed  uint64
	lines []line // of which the first is the input, and the last joins the ends of all
}

func sketchOf(seed uint64) sketch {
	r := rand.New(rand.NewPCG(seed, 4<<32))
	s := sketch{seed: seed, lines: []line{{}}}
	for range 2 + r.IntN(6) {
		l := line{verb: verb(r.IntN(verbs)), n: 1 + r.IntN(5)}
		for range 3 {
			l.args = append(l.args, r.IntN(len(s.lines)))
		}
		if r.IntN(4) == 0 {
			l.after = []int{r.IntN(len(s.lines))}
		}
		s.lines = append(s.lines, l)
	}
	last := len(s.lines) - 1
	end := line{verb: joinVerb, args: []int{last, r.IntN(last + 1), r.IntN(last + 1)}}
	for i := range s.lines[1:] {
		end.after = append(end.after, i+1) // a step that nothing waits for is a mistake, to the SDK
	}
	s.lines = append(s.lines, end)
	return s
}

// workflow builds the sketch with the SDK.
func (s sketch) workflow() *sdk.Workflow[uint64, uint64] {
	return sdk.NewWorkflow("chaos.dag", func(in sdk.Ref[uint64]) sdk.Ref[uint64] {
		refs := []sdk.Ref[uint64]{in}
		for i, l := range s.lines[1:] {
			refs = append(refs, l.build(i+1, refs, s.seed))
		}
		return refs[len(refs)-1]
	})
}

func (l line) build(i int, refs []sdk.Ref[uint64], seed uint64) sdk.Ref[uint64] {
	name, a := l.name(i), refs[l.args[0]]
	first := []sdk.StepOption{sdk.StepName(name)}
	for _, n := range l.after {
		if n > 0 { // all wait for the input
			first = append(first, sdk.After(refs[n]))
		}
	}
	part := func(p string) sdk.StepOnly { return sdk.StepName(name + "." + p) }
	width := sdk.MaxParallel(l.n)
	switch l.verb {
	case thenVerb:
		return sdk.Then(a, dagStep, first...)
	case nestedVerb:
		return sdk.Then(a, dagNested, sdk.StepName(name))
	case zipVerb:
		return sdk.Then(sdk.Zip(a, refs[l.args[1]]), dagPair, first...)
	case joinVerb:
		return sdk.Then(sdk.Join(
			sdk.Into(a, func(t *trio) *uint64 { return &t.A }),
			sdk.Into(refs[l.args[1]], func(t *trio) *uint64 { return &t.B }),
			sdk.Into(refs[l.args[2]], func(t *trio) *uint64 { return &t.C }),
		), dagTrio, first...)
	case eachVerb:
		items := sdk.Each(sdk.Then(a, dagFan, first...), dagItem, part("each"), width)
		return sdk.Then(sdk.FoldTo(items, dagLeaf, dagMerge, part("fold"), sdk.FanIn(l.n+1)), dagClose, part("close"))
	case tolerantVerb:
		items := sdk.Each(sdk.Then(a, dagFan, first...), dagItem, part("each"), sdk.Tolerate(1000))
		return sdk.Fold(items, dagSum, part("fold"), sdk.FanIn(l.n+1))
	case settledVerb:
		return sdk.Then(sdk.EachSettled(sdk.Then(a, dagFan, first...), dagItem, part("each")), dagSettled, part("close"))
	case chunkVerb:
		bunches := sdk.Each(sdk.Chunk(sdk.Then(a, dagFan, first...), l.n), dagBunch, part("each"), width)
		return sdk.Then(sdk.Flatten(bunches), dagList, part("close"))
	default:
		items := sdk.Each(sdk.Const(a, constOf(seed, l.n)), dagItem, part("each"), width, sdk.After(a))
		return sdk.Then(sdk.FoldTo(items, dagLeaf, dagMerge, part("fold"), sdk.FanIn(2)), dagClose, part("close"))
	}
}

func constOf(seed uint64, n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = mix(seed, uint64(i))
	}
	return all
}
