// Package sdktest runs workflows in tests, on the real engine: the nodes' Raft, scheduler and state are
// those of production, over disks and a network in memory, and, in a bubble of testing/synctest, under
// virtual time. No ports, no waiting: a retry after an hour takes no time.
//
//	func TestWordCount(t *testing.T) {
//		got := sdktest.Run(t, WordCount, "testdata", sdktest.FailFirst(Count, 2, io.ErrUnexpectedEOF))
//
// Run is for a workflow and its answer, with Fake, FailFirst and LoseLease for what may happen to its tasks.
// NewCluster is for what may happen to the cluster: KillLeader, Partition, Heal. StateHashes compares the
// replicas. Start is a node in real time, for examples.
//
// Functions under test must not block on what is outside of the bubble, such as real sockets: then virtual
// time stands still. Fake them.
package sdktest
