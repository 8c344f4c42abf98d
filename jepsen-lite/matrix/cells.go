// Package matrix runs many trials: a table of workloads and of what goes wrong under each.
package matrix

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/workload"
)

// Cell is one trial of the matrix. Without nemeses it is one in the mode trial.Quiet.
type Cell struct {
	Workload string   `json:"workload"`
	Nemeses  []string `json:"nemeses"`
	LogStore string   `json:"log_store"` // where the nodes keep their logs
}

// cell is a cell before its log store is drawn.
func cell(workload string, nemeses ...string) Cell { return Cell{Workload: workload, Nemeses: nemeses} }

func (c Cell) String() string {
	name := c.Workload + " × " + cmp.Or(strings.Join(c.Nemeses, ","), "nothing")
	if c.LogStore == "bolt" {
		name += ", logs in bolt"
	}
	return name
}

// smoke are the cells that run on every push, all within four minutes. What finds most comes first.
var smoke = []Cell{
	cell("submit", "kill-leader", "kill-worker"),
	cell("map-reduce", "kill-leader", "kill-worker"),
	cell("lease", "pause-worker"),
	cell("submit", "partition-half", "one-way-in"),
	cell("register", "pause-leader"),
	cell("map-reduce", "partition-leader"),
	cell("submit", "rolling-restart"),
	cell("lease", "clock-offset"),
	cell("timers", "clock-jump"),
	cell("snapshot", "kill-one"),
	cell("submit", "disk-hang"),
	cell("snapshot", "kill-all"),
	cell("submit"),
}

// column is a group of nemeses that one nightly trial draws its two from.
type column struct {
	name    string
	nemeses []string
	useless []string // workloads for which it is not worth the time
}

var columns = []column{
	{name: "kill", nemeses: []string{"kill-leader", "kill-one", "kill-all", "kill-worker"}},
	{name: "pause", nemeses: []string{"pause-leader", "pause-one", "pause-worker"}},
	{name: "partition", nemeses: []string{"partition-one", "partition-leader", "partition-half"}},
	{name: "odd links", nemeses: []string{"one-way-in", "one-way-out", "bridge", "ring", "flap"}, useless: []string{"timers"}},
	{name: "slow links", nemeses: []string{"slow-net", "throttle", "reset"}, useless: []string{"dag"}},
	{name: "clock", nemeses: []string{"clock-offset", "clock-jump", "clock-freeze"}, useless: []string{"stream", "membership", "snapshot"}},
	{name: "slow disk", nemeses: []string{"disk-slow", "disk-hang"}, useless: []string{"stream"}},
	{name: "bad disk", nemeses: []string{"disk-error", "disk-full"}, useless: []string{"register", "lease", "timers", "stream", "membership"}},
	{name: "damage", nemeses: []string{"corrupt-file", "wipe"}},
	{name: "replies", nemeses: []string{"drop-replies"}},
	{name: "transfer", nemeses: []string{"transfer"}},
	{name: "restart", nemeses: []string{"rolling-restart", "restart-worker"}},
}

// Tiers are the names of the tiers.
var Tiers = []string{"smoke", "nightly", "random"}

// Cells lists a tier's cells, and says which of its table are left out because this program does not have them.
// What is random of nightly cells comes from the seed.
func Cells(tier string, seed uint64) (cells []Cell, left []string, err error) {
	var workloads, nemeses []string
	for _, w := range workload.All() {
		workloads = append(workloads, w.Name)
	}
	for _, n := range nemesis.All() {
		if !n.Namespace {
			nemeses = append(nemeses, n.Name)
		}
	}
	switch tier {
	case "smoke":
		cells, left = only(smoke, workloads, nemeses)
	case "nightly":
		cells, left = nightly(workloads, nemeses, seed), lacking(nemeses)
	case "random":
		cells = anything(workloads, nemeses, seed)
	default:
		err = fmt.Errorf("there is no tier %q; there are %s", tier, strings.Join(Tiers, ", "))
	}
	r := rand.New(rand.NewPCG(seed, 5<<32))
	for i := range cells {
		if cells[i].LogStore = "wal"; r.IntN(boltOneIn) == 0 {
			cells[i].LogStore = "bolt"
		}
	}
	return cells, left, err
}

// boltOneIn says how many cells there are to one whose nodes keep their logs in bolt, which is not the default.
const boltOneIn = 4

// only keeps the cells of what there is.
func only(all []Cell, workloads, nemeses []string) (cells []Cell, left []string) {
	for _, c := range all {
		there := slices.Contains(workloads, c.Workload)
		for _, n := range c.Nemeses {
			there = there && slices.Contains(nemeses, n)
		}
		if there {
			cells = append(cells, c)
		} else {
			left = append(left, c.String())
		}
	}
	return cells, left
}

// lacking are the nemeses of the columns that there are not.
func lacking(nemeses []string) (left []string) {
	for _, col := range columns {
		for _, n := range col.nemeses {
			if !slices.Contains(nemeses, n) {
				left = append(left, n)
			}
		}
	}
	return left
}

// composed is how many nemeses of any columns the last cell of each workload has.
const composed = 3

// nightly crosses every workload with every column; a nemesis that no column names is one by itself.
func nightly(workloads, nemeses []string, seed uint64) (cells []Cell) {
	r := rand.New(rand.NewPCG(seed, 2<<32))
	known := map[string]bool{}
	var all []column
	for _, col := range columns {
		var there []string
		for _, n := range col.nemeses {
			known[n] = true
			if slices.Contains(nemeses, n) {
				there = append(there, n)
			}
		}
		if len(there) > 0 {
			col.nemeses = there
			all = append(all, col)
		}
	}
	for _, n := range nemeses {
		if !known[n] {
			all = append(all, column{name: n, nemeses: []string{n}})
		}
	}
	for _, w := range workloads {
		for _, col := range all {
			if !slices.Contains(col.useless, w) {
				cells = append(cells, cell(w, draw(r, col.nemeses, 2)...))
			}
		}
		cells = append(cells, cell(w, draw(r, nemeses, composed)...))
		if work, err := workload.Find(w); err == nil && !work.Moves {
			cells = append(cells, cell(w))
		}
	}
	return cells
}

// randomMax is how many cells the random tier has: more than a week of them.
const randomMax = 20_000

// anything draws workloads in turn, each under one to composed nemeses of all that there are.
func anything(workloads, nemeses []string, seed uint64) (cells []Cell) {
	r := rand.New(rand.NewPCG(seed, 4<<32))
	for len(cells) < randomMax {
		for _, w := range draw(r, workloads, len(workloads)) {
			cells = append(cells, cell(w, draw(r, nemeses, 1+r.IntN(composed))...))
		}
	}
	return cells
}

// draw takes up to n of a list.
func draw(r *rand.Rand, list []string, n int) []string {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(n, len(list))]
}
