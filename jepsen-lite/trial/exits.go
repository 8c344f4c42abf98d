package trial

import (
	"github.com/fanfold/fanfold/jepsen-lite/child"
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
