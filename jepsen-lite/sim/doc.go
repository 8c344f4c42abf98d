// Package sim runs whole clusters in one process under virtual time, breaks them by a seed, and judges what is
// left: thousands of small histories where jepsen-lite's real processes have a few large ones.
//
// Everything but the edges is the product: nodes with their Raft, engines and state machines, clients and
// workers of the SDK. The edges are in memory and can fail: the network between nodes (wire.go) delays, drops,
// repeats and reorders messages, disks (disk.go, logdisk.go) lose what was not synced when the power fails, at
// any chosen write, and clocks are off. Time is the bubble's of testing/synctest: a minute of timeouts costs
// milliseconds.
//
// A seed gives a Plan: a cluster, what is submitted when, and what breaks when. Each kind of fault is armed in
// a quarter of the plans, so that plans differ in kind and not only in order. A plan that fails is shrunk, and
// named by a command that repeats it.
package sim
