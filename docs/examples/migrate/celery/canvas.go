package celery

import (
	"context"

	"github.com/fanfold/fanfold/sdk"
)

// and makes a pair of a value to come and one that is known: what add.s(4) is in Celery.
func and(x sdk.Ref[int], y int) sdk.Ref[Pair] {
	return sdk.Join(
		sdk.Into(x, func(p *Pair) *int { return &p.X }),
		sdk.Into(sdk.Const(x, y), func(p *Pair) *int { return &p.Y }))
}

// Chain is (first + 4) * 8.
var Chain = sdk.NewWorkflow("chain", func(first sdk.Ref[Pair]) sdk.Ref[int] {
	sum := sdk.Then(first, Add)
	sum = sdk.Then(and(sum, 4), Add)
	return sdk.Then(and(sum, 8), Mul)
})

// Group adds each pair; the results are in the order of the pairs.
var Group = sdk.NewWorkflow("group", func(pairs sdk.Ref[[]Pair]) sdk.Ref[[]int] {
	return sdk.Each(pairs, Add)
})

// Both runs two different tasks side by side and waits for both.
var Both = sdk.NewWorkflow("both", func(p sdk.Ref[Pair]) sdk.Ref[sdk.Pair[int, int]] {
	return sdk.Zip(sdk.Then(p, Add), sdk.Then(p, Mul))
})

// Chord gives all results of the header to the body.
var Chord = sdk.NewWorkflow("chord", func(pairs sdk.Ref[[]Pair]) sdk.Ref[int] {
	return sdk.Then(sdk.Each(pairs, Add), XSum)
})

// Tree is the chord of a million: the body runs as a tree, while the header is still at work.
var Tree = sdk.NewWorkflow("tree", func(pairs sdk.Ref[[]Pair]) sdk.Ref[int] {
	return sdk.Fold(sdk.Each(pairs, Add), XSum, sdk.FanIn(32))
})

// Chunks is one task for ten pairs.
var Chunks = sdk.NewWorkflow("chunks", func(pairs sdk.Ref[[]Pair]) sdk.Ref[[]int] {
	return sdk.Flatten(sdk.Each(sdk.Chunk(pairs, 10), AddAll))
})

// Settled is a chord whose body hears of the failed ones as values.
var Settled = sdk.NewWorkflow("settled", func(pairs sdk.Ref[[]Pair]) sdk.Ref[int] {
	return sdk.Then(sdk.EachSettled(pairs, Add, sdk.NoRetry()), sumOfTheGood)
})

var sumOfTheGood = sdk.NewTask("sum.of.the.good", func(_ context.Context, all []sdk.Settled[int]) (total int, _ error) {
	for _, one := range all {
		if n, err := one.Get(); err == nil {
			total += n
		}
	}
	return total, nil
})
