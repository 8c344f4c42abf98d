package bench

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Item is the payload of a task.
type Item struct {
	ID    int    `json:"id"`
	Chain int    `json:"chain,omitempty"`
	Step  int    `json:"step,omitempty"`
	Pad   string `json:"pad,omitempty"`
}

// padded fills an item up to a number of bytes of JSON.
func padded(item Item, bytes int) Item {
	item.Pad = ""
	empty, err := json.Marshal(item)
	if err != nil {
		panic(err) // a struct of numbers and a string always encodes
	}
	if missing := bytes - len(empty) - len(`,"pad":""`); missing > 0 {
		item.Pad = strings.Repeat("x", missing)
	}
	return item
}

// Done is a small result.
type Done struct {
	ID int `json:"id"`
}

// chainSteps is how long the chains are.
const chainSteps = 10

var (
	noop = sdk.Declare[Item, Done]("bench.noop")
	step = sdk.Declare[Item, Item]("bench.step")
	spec = sdk.NewTask("bench.plan", func(_ context.Context, p plan) ([]Item, error) { return p.items(), nil })
	each = sdk.NewTask("bench.map", func(_ context.Context, item Item) (int, error) { return 1, nil })
	sum  = sdk.NewTask("bench.reduce", func(_ context.Context, counts []int) (int, error) {
		total := 0
		for _, n := range counts {
			total += n
		}
		return total, nil
	})

	tenSteps = sdk.NewWorkflow("bench.chain", func(item sdk.Ref[Item]) sdk.Ref[Item] {
		for range chainSteps {
			item = sdk.Then(item, step)
		}
		return item
	})
	mapAndFold = sdk.NewWorkflow("bench.mapreduce", func(p sdk.Ref[plan]) sdk.Ref[int] {
		return sdk.Fold(sdk.Each(sdk.Then(p, spec), each), sum, sdk.FanIn(1000))
	})
)

// plan is the input of the map: how many items of how many bytes.
type plan struct{ N, Bytes int }

func (p plan) items() []Item {
	items := make([]Item, p.N)
	for i := range items {
		items[i] = padded(Item{ID: i}, p.Bytes)
	}
	return items
}

// pace remembers when handlers ended. It is made for each workload.
type pace struct {
	mu    sync.Mutex
	ended map[int]time.Time // by Item.ID of noop
	last  map[int]time.Time // by Item.Chain: the end of its last step
	steps []time.Duration   // from the end of one step's handler to that of the next
}

func newPace() *pace { return &pace{ended: make(map[int]time.Time), last: make(map[int]time.Time)} }

// tasks are what the worker runs.
func (p *pace) tasks() []sdk.Registrable {
	return []sdk.Registrable{
		noop.Bind(func(_ context.Context, item Item) (Done, error) {
			p.mu.Lock()
			p.ended[item.ID] = time.Now()
			p.mu.Unlock()
			return Done{ID: item.ID}, nil
		}),
		step.Bind(func(_ context.Context, item Item) (Item, error) {
			now := time.Now()
			p.mu.Lock()
			if before, ok := p.last[item.Chain]; ok && item.Step > 0 {
				p.steps = append(p.steps, now.Sub(before))
			}
			p.last[item.Chain] = now
			p.mu.Unlock()
			item.Step++
			return item, nil
		}),
		spec, each, sum,
	}
}

// takeSteps returns the spans between steps and forgets them.
func (p *pace) takeSteps() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	steps := p.steps
	p.steps = nil
	return steps
}

// endOf is when the handler of an item ended.
func (p *pace) endOf(id int) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.ended[id]
	return at, ok
}
