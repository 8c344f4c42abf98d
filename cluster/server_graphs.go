package cluster

import (
	"fmt"
	"sync"

	"github.com/fanfold/fanfold/dag"
)

// graphCache remembers which graphs have been found right or wrong, by content. A client sends the
// same graph with every job; decoding it each time would cost more than the rest of the call. It
// keeps two generations: what is used stays, what is not is forgotten when the younger is full.
type graphCache struct {
	mu         sync.Mutex // guards what follows
	young, old map[string]error
	bytes      int // of the keys of young
}

const (
	graphCacheEntries = 512
	graphCacheBytes   = 8 << 20
)

func newGraphCache() *graphCache {
	return &graphCache{young: map[string]error{}, old: map[string]error{}}
}

// check decodes a graph, unless it has done so lately.
func (c *graphCache) check(graph []byte) error {
	switch {
	case len(graph) == 0:
		return invalid("a job needs a graph: the SDK's workflow makes it")
	case len(graph) > dag.MaxEncoded:
		return tooLarge("the graph has %d bytes; it may have %d: nest smaller workflows, or map over items", len(graph), dag.MaxEncoded)
	}
	if verdict, known := c.lookup(graph); known {
		return verdict
	}
	var verdict error
	if _, err := dag.Decode(graph); err != nil {
		verdict = invalid("the graph is not right: %s", fmt.Sprintf("%.4096s", err.Error()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remember(string(graph), verdict)
	return verdict
}

func (c *graphCache) lookup(graph []byte) (verdict error, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if verdict, known = c.young[string(graph)]; known {
		return verdict, true
	}
	if verdict, known = c.old[string(graph)]; known {
		c.remember(string(graph), verdict)
	}
	return verdict, known
}

func (c *graphCache) remember(graph string, verdict error) {
	if len(c.young) >= graphCacheEntries || c.bytes+len(graph) > graphCacheBytes {
		c.old, c.young, c.bytes = c.young, map[string]error{}, 0
	}
	c.young[graph] = verdict
	c.bytes += len(graph)
}
