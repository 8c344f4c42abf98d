package workload

import (
	"slices"

	"github.com/fanfold/fanfold/sdk"
)

// trio is a fan-in of three.
type trio struct {
	A uint64 `json:"a"`
	B uint64 `json:"b"`
	C uint64 `json:"c"`
}

// affine is the function x -> M x + C. To compose such functions is associative, and not commutative: a fold
// over them notices a value that is lost, doubled, or out of order.
type affine struct {
	M uint64 `json:"m"`
	C uint64 `json:"c"`
}

func (a affine) then(b affine) affine { return affine{b.M * a.M, b.M*a.C + b.C} }

// What the tasks compute, for the cluster and for the oracle.
func stepOf(step, _ uint64, in uint64) uint64 { return mix(step, in) }

func pairOf(step, _ uint64, in sdk.Pair[uint64, uint64]) uint64 {
	return mix(step, in.First, in.Second)
}

func trioOf(step, _ uint64, in trio) uint64 { return mix(step, in.A, in.B, in.C) }

// fanOf makes a list of 0 to 12.
func fanOf(step, _ uint64, in uint64) []uint64 {
	all := make([]uint64, mix(step, in, 4)%13)
	for i := range all {
		all[i] = mix(step, in, uint64(i))
	}
	return all
}

func itemOf(step, shard uint64, in uint64) uint64 { return mix(step, shard, in) }

func bunchOf(step, shard uint64, in []uint64) []uint64 {
	out := slices.Clone(in)
	for i := range out {
		out[i] = mix(step, shard, out[i])
	}
	return slices.Concat(out, []uint64{uint64(len(in))})
}

func leafOf(_, _ uint64, in []uint64) affine {
	all := affine{M: 1}
	for _, x := range in {
		all = all.then(affine{x | 1, x})
	}
	return all
}

func mergeOf(_, _ uint64, in []affine) affine {
	all := affine{M: 1}
	for _, a := range in {
		all = all.then(a)
	}
	return all
}

func sumOf(_, _ uint64, in []uint64) (sum uint64) {
	for _, x := range in {
		sum += x
	}
	return sum
}

func closeOf(step, _ uint64, in affine) uint64 { return mix(step, in.M, in.C) }

// settledOf counts what died at its place.
func settledOf(step, _ uint64, in []sdk.Settled[uint64]) uint64 {
	h := step
	for i, s := range in {
		x, err := s.Get()
		if err != nil {
			x = 5
		}
		h = mix(h, uint64(i), x)
	}
	return h
}

func listOf(step, _ uint64, in []uint64) uint64 { return mix(step, mix(in...), uint64(len(in))) }

var (
	dagStep    = task("chaos.dag.step", mortalSteps, stepOf)
	dagPair    = task("chaos.dag.pair", mortalSteps, pairOf)
	dagTrio    = task("chaos.dag.trio", mortalSteps, trioOf)
	dagFan     = task("chaos.dag.fan", mortalSteps, fanOf)
	dagItem    = task("chaos.dag.item", mortalItems, itemOf)
	dagBunch   = task("chaos.dag.bunch", mortalItems, bunchOf)
	dagLeaf    = task("chaos.dag.leaf", 0, leafOf)
	dagMerge   = task("chaos.dag.merge", 0, mergeOf)
	dagSum     = task("chaos.dag.sum", 0, sumOf)
	dagClose   = task("chaos.dag.close", mortalSteps, closeOf)
	dagSettled = task("chaos.dag.settled", mortalSteps, settledOf)
	dagList    = task("chaos.dag.list", mortalSteps, listOf)

	// dagNested is a workflow within the graphs.
	dagNested = sdk.NewWorkflow("chaos.dag.nested", func(in sdk.Ref[uint64]) sdk.Ref[uint64] {
		left := sdk.Then(in, dagStep, sdk.StepName("left"))
		right := sdk.Then(in, dagStep, sdk.StepName("right"))
		return sdk.Then(sdk.Zip(left, right), dagPair, sdk.StepName("both"))
	})
)

func dagUnits(string) []sdk.Registrable {
	return []sdk.Registrable{dagStep, dagPair, dagTrio, dagFan, dagItem, dagBunch, dagLeaf, dagMerge, dagSum, dagClose, dagSettled, dagList}
}
