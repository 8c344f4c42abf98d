//go:build !linux

package cli

import (
	"context"
	"fmt"

	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
)

// inNamespace refuses nemeses that need a network namespace: this system has none.
func inNamespace(_ context.Context, names []string) (done bool, err error) {
	found, err := nemesis.Find(names)
	for _, n := range found {
		if n.Namespace {
			return true, &Error{CodeFailed, fmt.Errorf("the nemesis %s needs Linux", n.Name)}
		}
	}
	return false, nil
}
