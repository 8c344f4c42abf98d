package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// identity is who the owner of a data directory is, in node.json. It keeps a directory from being
// started under another name, with which it could vote twice, or in another cluster.
type identity struct {
	Format  int    `json:"format"`
	Node    string `json:"node"`
	Cluster string `json:"cluster,omitempty"` // hex, 128 bits; empty until the node has learnt it
	Joining bool   `json:"joining,omitempty"` // it has asked to be taken in
	Sum     uint32 `json:"sum,omitempty"`     // a checksum of the others; 0 in files of before it was kept
}

func (id identity) sum() uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %q %q %t", id.Format, id.Node, id.Cluster, id.Joining), castagnoli)
}

const (
	identityFile   = "node.json"
	identityFormat = 1
	lockFile       = "LOCK"
)

// ErrInUse is returned for a data directory that another process has open.
var ErrInUse = errors.New("cluster: another process uses this data directory")

// lockDataDir keeps a second process out.
func lockDataDir(fs vfs.FS, dir string) (io.Closer, error) {
	if err := makeDir(fs, dir); err != nil {
		return nil, err
	}
	lock, err := fs.Lock(fs.PathJoin(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("%w (%s is locked: %v); stop it, or give this node a directory of its own", ErrInUse, dir, err)
	}
	return lock, nil
}

// readIdentity reads node.json; found is false in a fresh directory.
func readIdentity(fs vfs.FS, dir string) (id identity, found bool, err error) {
	content, err := readFile(fs, fs.PathJoin(dir, identityFile))
	if errors.Is(err, os.ErrNotExist) {
		return identity{}, false, nil
	}
	if err != nil {
		return identity{}, false, err
	}
	if err := json.Unmarshal(content, &id); err != nil {
		return identity{}, false, fmt.Errorf("cluster: %s in %s: %w: %v", identityFile, dir, errDamaged, err)
	}
	if id.Sum != 0 && id.Sum != id.sum() {
		return identity{}, false, fmt.Errorf("cluster: %s in %s: %w", identityFile, dir, wrong("its checksum says so"))
	}
	if id.Format > identityFormat {
		return identity{}, false, &ExitError{Code: ExitVersion, Reason: fmt.Sprintf("the data directory %s has format %d, written by a newer version of the program; this one reads up to %d", dir, id.Format, identityFormat)}
	}
	return id, true, nil
}

func writeIdentity(fs vfs.FS, dir string, id identity) error {
	id.Format = identityFormat
	id.Sum = id.sum()
	content, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return writeFile(fs, dir, identityFile, append(content, '\n'))
}
