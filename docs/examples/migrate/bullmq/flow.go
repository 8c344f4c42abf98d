// Package bullmq has the code of docs/migrate/bullmq.md: work that BullMQ users know, in Fanfold.
package bullmq

import (
	"context"
	"errors"
	"fmt"

	"github.com/fanfold/fanfold/sdk"
)

// House is what is renovated, Place a part of it, and Bill what the parent makes of its children's values.
type (
	House struct{ Address string }
	Place struct{ Name string }
	Costs struct{ Ceiling, Walls, Floor int }
	Bill  struct{ Cents int }
)

// The children, and the parent that takes what they return.
var (
	Paint  = sdk.NewTask("paint", func(_ context.Context, p Place) (int, error) { return prices["paint "+p.Name], nil })
	Fix    = sdk.NewTask("fix", fix, sdk.NoRetry())
	Finish = sdk.NewTask("renovate-interior", func(_ context.Context, c Costs) (Bill, error) {
		return Bill{Cents: c.Ceiling + c.Walls + c.Floor}, nil
	})
)

// Renovate is the flow of BullMQ's documentation.
var Renovate = sdk.NewWorkflow("renovate-interior", func(house sdk.Ref[House]) sdk.Ref[Bill] {
	ceiling := sdk.Then(sdk.Const(house, Place{"ceiling"}), Paint)
	walls := sdk.Then(sdk.Const(house, Place{"walls"}), Paint)
	floor := sdk.Then(sdk.Const(house, Place{"floor"}), Fix)
	costs := sdk.Join(
		sdk.Into(ceiling, func(c *Costs) *int { return &c.Ceiling }),
		sdk.Into(walls, func(c *Costs) *int { return &c.Walls }),
		sdk.Into(floor, func(c *Costs) *int { return &c.Floor }))
	return sdk.Then(costs, Finish)
})

// Estimate has a list of children, known only when it runs; ones that fail are left out.
var Estimate = sdk.NewWorkflow("estimate", func(places sdk.Ref[[]Place]) sdk.Ref[int] {
	costs := sdk.Each(places, Fix, sdk.Tolerate(1000))
	return sdk.Then(costs, sumUp)
})

// Survey is a child with two parents, which a tree cannot have: it runs once.
var Survey = sdk.NewWorkflow("survey", func(p sdk.Ref[Place]) sdk.Ref[sdk.Pair[int, string]] {
	cents := sdk.Then(p, Fix)
	return sdk.Zip(sdk.Then(cents, tax), sdk.Then(cents, letter))
})

var (
	sumUp = sdk.NewTask("sum", func(_ context.Context, all []int) (total int, _ error) {
		for _, n := range all {
			total += n
		}
		return total, nil
	})
	tax    = sdk.NewTask("tax", func(_ context.Context, cents int) (int, error) { return cents / 5, nil })
	letter = sdk.NewTask("letter", func(_ context.Context, cents int) (string, error) {
		return fmt.Sprintf("%d.%02d", cents/100, cents%100), nil
	})
)

var prices = map[string]int{"paint ceiling": 10000, "paint walls": 25000, "fix floor": 40000}

var errNoSuchPlace = errors.New("there is no such place")

func fix(_ context.Context, p Place) (int, error) {
	cents, ok := prices["fix "+p.Name]
	if !ok {
		return 0, errNoSuchPlace
	}
	return cents, nil
}
