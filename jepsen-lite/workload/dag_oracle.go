package workload

import (
	"slices"

	"github.com/fanfold/fanfold/sdk"
)

// expected is what a graph must come to.
type expected struct {
	value uint64
	// killers are the steps that die with all before them alive: the job fails by one of them. None: it
	// succeeds, with value.
	killers []string
	// failures are how many failed attempts each task has when the job succeeds, by step and item; of folds
	// nothing is said.
	failures map[string]map[uint64]int
}

// oracle computes a graph without a cluster.
type oracle struct {
	seed uint64
	expected
}

// number is the value of a line, or that it will never be there.
type number struct {
	value uint64
	dead  bool
}

func (s sketch) expect() expected {
	o := &oracle{seed: s.seed, expected: expected{failures: map[string]map[uint64]int{}}}
	values := []number{{value: firstValue(s.seed)}}
	for i, l := range s.lines[1:] {
		values = append(values, o.line(i+1, l, values))
	}
	o.value = values[len(values)-1].value
	return o.expected
}

// live meets the fate of a task all of whose parents are there, and reports whether it succeeds.
func (o *oracle) live(step string, shard, mortal uint64) bool {
	f := fateOf(o.seed, step, shard, mortal)
	if o.failures[step] == nil {
		o.failures[step] = map[uint64]int{}
	}
	o.failures[step][shard] = f.failures()
	return !f.dies
}

// step is the only task of a step: f is its value, which nobody asks for when a parent is dead.
func (o *oracle) step(step string, dead bool, f func(step, shard uint64) uint64) number {
	if dead {
		return number{dead: true}
	}
	if !o.live(step, 0, mortalSteps) {
		o.killers = append(o.killers, step)
		return number{dead: true}
	}
	return number{value: f(nameHash(step), 0)}
}

// each is a map over a list: what becomes of its items, and whether one of them died.
func each[In, Out any](o *oracle, step string, in []In, pure func(step, shard uint64, in In) Out) (out []sdk.Settled[Out], died bool) {
	for i, x := range in {
		s := sdk.Settled[Out]{Error: &sdk.SettledError{}}
		if o.live(step, uint64(i), mortalItems) {
			s = sdk.Settled[Out]{Value: pure(nameHash(step), uint64(i), x)}
		}
		died = died || s.Error != nil
		out = append(out, s)
	}
	return out, died
}

// living are the values of the items that did not die.
func living[T any](in []sdk.Settled[T]) (out []T) {
	for _, s := range in {
		if s.Error == nil {
			out = append(out, s.Value)
		}
	}
	return out
}

func (o *oracle) line(i int, l line, values []number) number {
	name := l.name(i)
	a, b, c := values[l.args[0]], number{}, number{}
	if len(l.args) > 2 {
		b, c = values[l.args[1]], values[l.args[2]]
	}
	waits := slices.ContainsFunc(l.after, func(n int) bool { return values[n].dead })
	switch l.verb {
	case thenVerb:
		return o.step(name, a.dead || waits, func(step, _ uint64) uint64 { return stepOf(step, 0, a.value) })
	case nestedVerb:
		left := o.step(name+"/left", a.dead, func(step, _ uint64) uint64 { return stepOf(step, 0, a.value) })
		right := o.step(name+"/right", a.dead, func(step, _ uint64) uint64 { return stepOf(step, 0, a.value) })
		return o.step(name+"/both", left.dead || right.dead, func(step, _ uint64) uint64 {
			return pairOf(step, 0, sdk.Pair[uint64, uint64]{First: left.value, Second: right.value})
		})
	case zipVerb:
		return o.step(name, a.dead || b.dead || waits, func(step, _ uint64) uint64 {
			return pairOf(step, 0, sdk.Pair[uint64, uint64]{First: a.value, Second: b.value})
		})
	case joinVerb:
		return o.step(name, a.dead || b.dead || c.dead || waits, func(step, _ uint64) uint64 { return trioOf(step, 0, trio{a.value, b.value, c.value}) })
	case constVerb:
		return o.spread(l, name, a.dead, constOf(o.seed, l.n))
	}
	var list []uint64
	fan := o.step(name, a.dead || waits, func(step, _ uint64) uint64 {
		list = fanOf(step, 0, a.value)
		return 0
	})
	return o.spread(l, name, fan.dead, list)
}

// spread is what follows on a list.
func (o *oracle) spread(l line, name string, dead bool, list []uint64) number {
	if dead {
		return number{dead: true}
	}
	var died bool
	var end func(step, _ uint64) uint64
	if l.verb == chunkVerb {
		var bunches []sdk.Settled[[]uint64]
		bunches, died = each(o, name+".each", slices.Collect(slices.Chunk(list, l.n)), bunchOf)
		end = func(step, _ uint64) uint64 { return listOf(step, 0, slices.Concat(living(bunches)...)) }
	} else {
		var items []sdk.Settled[uint64]
		items, died = each(o, name+".each", list, itemOf)
		switch l.verb {
		case tolerantVerb:
			return number{value: sumOf(0, 0, living(items))}
		case settledVerb:
			died = false
			end = func(step, _ uint64) uint64 { return settledOf(step, 0, items) }
		default:
			end = func(step, _ uint64) uint64 { return closeOf(step, 0, leafOf(0, 0, living(items))) }
		}
	}
	if died {
		o.killers = append(o.killers, name+".each")
		return number{dead: true}
	}
	return o.step(name+".close", false, end)
}
