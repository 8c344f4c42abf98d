package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// initCluster names the cluster. Proposed by the first leader before anything else, so that a node can
// never join, or replay the log of, another cluster.
//
// Refusals: INVALID, CONFLICT (it has another name).
func initCluster(t *tx, c *fsmpb.InitCluster) Answer {
	if len(c.Id) != 16 {
		return no(CodeInvalid, "a cluster id has 16 bytes")
	}
	id := [16]byte(c.Id)
	if t.m.state.cluster != [16]byte{} && t.m.state.cluster != id {
		return no(CodeConflict, "the cluster has the id %x already", t.m.state.cluster)
	}
	t.m.state.cluster = id
	return Answer{}
}

// hashState makes every replica hash its state at this index; Apply does it when the entry is committed.
func hashState(*tx, *fsmpb.HashState) Answer { return Answer{} }
