package trial

import (
	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/jepsen-lite/site"
)

// revive starts again what has ended by itself, and notes it: nothing may, but where a nemesis expects it.
func (t *trial) revive() error {
	note := func(p *child.Process) bool {
		err := p.Crashed()
		if err != nil {
			t.found.Exits = append(t.found.Exits, err.Error())
		}
		return err != nil
	}
	for _, n := range t.site.Nodes {
		if note(n.Process) {
			if err := t.site.StartNode(n); err != nil {
				return err
			}
		}
	}
	for _, w := range t.site.Workers {
		if note(w.Process) {
			if err := t.site.StartWorker(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone notes, and reports, whether a node that was to give its last word has ended by itself.
func (t *trial) gone(n *site.Node) bool {
	err := n.Process.Crashed()
	if err != nil {
		t.found.Exits = append(t.found.Exits, err.Error())
	}
	return err != nil
}
