package trial

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/fanfold/fanfold/jepsen-lite/inside"
	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
)

// chooseNodes finds the binary that the nodes run, and refuses nemeses that it cannot have.
func (t *trial) chooseNodes(ctx context.Context) error {
	at := slices.IndexFunc(t.nemeses, func(n nemesis.Nemesis) bool { return n.Inside })
	t.breakable = at >= 0
	binary, kind := t.NodeBinary, inside.Kind{Faults: t.breakable, Race: t.Race}
	if binary == "" && (t.breakable && !inside.Built || t.Race) {
		t.Note("building nodes with %+v", kind)
		var err error
		if binary, err = inside.Build(ctx, cmp.Or(t.BuildDir, t.Dir), kind); err != nil {
			return fmt.Errorf("the nodes need a binary of their own: %w", err)
		}
	}
	if binary == "" {
		return nil
	}
	t.nodeCommand = []string{binary}
	if !t.breakable {
		return nil
	}
	if err := inside.Probe(ctx, binary); err != nil {
		return fmt.Errorf("the nemesis %s cannot happen: %w", t.nemeses[at].Name, err)
	}
	return nil
}

// nodeArgs are the settings of the nodes. Nodes with faults inside flush their state often, so that its disk is
// busy, and give a hanging disk up before the run ends. A workload's own settings go before.
func (t *trial) nodeArgs() (args []string) {
	if t.breakable {
		args = []string{"--snapshot-threshold", "200", "--snapshot-interval", "500ms", "--stall-timeout", nemesis.StallTimeout.String()}
	}
	return append(append(args, "--log-store", t.LogStore), t.work.NodeArgs...)
}
