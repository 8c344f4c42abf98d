package trial

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// readVitals reads what the nodes wrote of themselves: the last before the load began, and the last of all, when
// workers and clients had gone.
func (t *trial) readVitals() (all []evidence.NodeVitals, err error) {
	began := t.found.Start.UnixMilli()
	for _, n := range t.site.Nodes {
		v := evidence.NodeVitals{Node: n.ID, Bytes: map[string]int64{}}
		err = errors.Join(err, scan(n.Vitals, func(_ int, line string) {
			var now evidence.Vitals
			if json.Unmarshal([]byte(line), &now) != nil {
				return // of a process that was killed
			}
			if now.UnixMS <= began {
				v.Before = now
			}
			v.After = now
		}))
		for _, part := range []string{"raft", "state"} {
			v.Bytes[part] = sizeOf(filepath.Join(n.Data, part))
		}
		all = append(all, v)
	}
	return all, err
}

// sizeOf is how many bytes the files below a directory have.
func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil // what vanishes meanwhile has no size
	})
	return bytes
}
