package ledger

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/fanfold/fanfold/cluster"
)

// Damaged is what could be read of a damaged log.
type Damaged struct {
	Name string
	// Read is how many committed entries could be read; of those before the first that could not.
	Read int
	// Ended is why no more could be read; "": it was read to its end.
	Ended string
	// Wrong are entries that were given out although they are not what was committed.
	Wrong []string
}

// damagedPatience bounds the reading: pages of a damaged file may point in a circle.
const damagedPatience = 20 * time.Second

// ReadDamaged reads logs that were damaged, each in a directory as of a node, into Damaged.
func (l *Ledger) ReadDamaged(ctx context.Context, dirs []string) {
	for _, dir := range dirs {
		l.Damaged = append(l.Damaged, readDamaged(ctx, dir, l.whole))
	}
}

// readDamaged reads a damaged log as a node does, and compares it with the committed entries. An entry of
// another term may be one that was never committed, and is left out.
func readDamaged(ctx context.Context, dir string, whole map[uint64]cluster.LogRecord) Damaged {
	ctx, cancel := context.WithTimeout(ctx, damagedPatience)
	defer cancel()
	done := make(chan Damaged, 1)
	go func() {
		d := Damaged{Name: filepath.Base(dir)}
		defer func() { done <- d }()
		defer func() {
			if v := recover(); v != nil {
				d.Ended = fmt.Sprint("panic: ", v)
			}
		}()
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a page may point out of the file
		err := cluster.WalkLog(ctx, dir, func(e cluster.LogRecord) error {
			switch want, ok := whole[e.Index]; {
			case !ok || want.Term != e.Term:
			case sumOf(e) != sumOf(want):
				d.Wrong = append(d.Wrong, fmt.Sprintf("%s: index %d of term %d is not what was committed", d.Name, e.Index, e.Term))
			default:
				d.Read++
			}
			return nil
		})
		if err != nil {
			d.Ended = err.Error()
		}
	}()
	select {
	case d := <-done:
		return d
	case <-ctx.Done():
		return Damaged{Name: filepath.Base(dir), Ended: "reading it does not end"}
	}
}
