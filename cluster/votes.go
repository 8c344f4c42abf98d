package cluster

import "github.com/hashicorp/raft"

// guardedStable is the votes as Raft sees them, guarded in the same way.
type guardedStable struct {
	store raft.StableStore
	watch *watchdog
	fail  func(code int, reason string)
}

func (g *guardedStable) Set(key, value []byte) error {
	defer g.watch.begin("write the vote", ExitLogStore)()
	return g.check("write the vote", g.store.Set(key, value))
}

func (g *guardedStable) SetUint64(key []byte, value uint64) error {
	defer g.watch.begin("write the term", ExitLogStore)()
	return g.check("write the term", g.store.SetUint64(key, value))
}

func (g *guardedStable) Get(key []byte) ([]byte, error) {
	value, err := g.store.Get(key)
	if isKeyMissing(err) {
		return nil, err
	}
	return value, g.check("read the vote", err)
}

func (g *guardedStable) GetUint64(key []byte) (uint64, error) {
	value, err := g.store.GetUint64(key)
	if isKeyMissing(err) {
		return 0, err
	}
	return value, g.check("read the term", err)
}

func (g *guardedStable) check(what string, err error) error {
	if err != nil {
		g.fail(exitOf(err, ExitLogStore), what+": "+err.Error())
	}
	return err
}

// isKeyMissing: the stores have no common error for it; Raft itself compares the text.
func isKeyMissing(err error) bool { return err != nil && err.Error() == "not found" }
