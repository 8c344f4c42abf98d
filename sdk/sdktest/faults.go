package sdktest

import (
	"fmt"
	"slices"
)

// KillLeader kills the leader at once, as kill -9 and a power cut together would, and returns its name, or
// "" where there is none for a minute. What it had not synced is lost. Restart brings it back.
func (c *Cluster) KillLeader() string {
	id := c.Leader()
	c.Kill(id)
	return id
}

// Kill kills a node at once. See KillLeader.
func (c *Cluster) Kill(id string) {
	if n := c.node(id); n != nil {
		n.kill()
	}
}

// Restart starts a node that was killed or stopped, on its disk.
func (c *Cluster) Restart(id string) error {
	n := c.node(id)
	if n == nil {
		return fmt.Errorf("sdktest: there is no node %q", id)
	}
	return n.start()
}

// Partition cuts the links between the named nodes and all other nodes. Clients and workers still reach
// every node: what they are told on the wrong side is what a test wants to know. Cut is for their links.
func (c *Cluster) Partition(ids ...string) {
	for _, a := range c.Nodes() {
		for _, b := range c.Nodes() {
			if slices.Contains(ids, a) && !slices.Contains(ids, b) {
				c.Cut(a, b)
			}
		}
	}
}

// Cut cuts the link between two hosts: nodes, workers, or clients of NewClient.
func (c *Cluster) Cut(a, b string) {
	c.net.Cut(a, b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apart[pair(a, b)] = true
	c.rewire()
}

// Heal mends all links.
func (c *Cluster) Heal() {
	c.net.Heal()
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.apart)
	c.rewire()
}

// isolate cuts a worker's host off from all nodes.
func (c *Cluster) isolate(host string) {
	for _, id := range c.Nodes() {
		c.net.Cut(host, id)
	}
}

// rejoin mends what isolate has cut.
func (c *Cluster) rejoin(host string) {
	for _, id := range c.Nodes() {
		c.net.Mend(host, id)
	}
}
