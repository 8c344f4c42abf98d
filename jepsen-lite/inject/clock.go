//go:build chaos

package inject

import (
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/inside"
)

// Clock is the wall clock; nil: the system's.
func (f *Faults) Clock(under func() time.Time) func() time.Time {
	if under == nil {
		under = time.Now
	}
	return func() time.Time {
		o, since, _ := f.current()
		if o.Clock == (inside.Clock{}) {
			return under()
		}
		f.misread.Add(1)
		if o.Clock.Frozen {
			return since.Add(o.Clock.Offset)
		}
		return under().Add(o.Clock.Offset)
	}
}
