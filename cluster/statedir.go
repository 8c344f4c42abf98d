package cluster

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stateDir is the directory of the state machine's data:
//
//	CURRENT     one line: the directory in use, the index at which it was installed (0 = never), a checksum
//	000001/     Pebble's files
//	incoming    a snapshot being received, or spooled to be sent; removed at start
//
// A snapshot from the leader is built in the next directory (000002) and becomes the state by an
// atomic rename over CURRENT. Before the rename the old state is whole, after it the new one; there
// is no third case.
type stateDir struct {
	fs   vfs.FS
	path string
}

const currentFile = "CURRENT"

// current is what CURRENT says. Installed is the index of the snapshot that the directory was built
// from: it changes together with the state, so it tells, at any time, whether a log that does not
// reach back to the state's last entry may be trusted (see logAgrees).
type current struct {
	number    uint64
	installed uint64
}

func (c current) sum() uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %d", c.number, c.installed), castagnoli)
}

func (c current) name() string { return fmt.Sprintf("%06d", c.number) }

// openStateDir makes the directory when it is missing, and removes what a crash left over.
func openStateDir(fs vfs.FS, path string) (*stateDir, error) {
	d := &stateDir{fs: fs, path: path}
	if err := makeDir(fs, path); err != nil {
		return nil, err
	}
	now, err := d.current()
	if err != nil {
		return nil, err
	}
	if now.number == 0 {
		now.number = 1
		if err := d.flip(now); err != nil {
			return nil, err
		}
	}
	names, err := fs.List(path)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name != currentFile && name != now.name() {
			if err := fs.RemoveAll(fs.PathJoin(path, name)); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (d *stateDir) join(name string) string { return d.fs.PathJoin(d.path, name) }

// current reads CURRENT; number is 0 when there is none yet.
func (d *stateDir) current() (c current, err error) {
	content, err := readFile(d.fs, d.join(currentFile))
	if errors.Is(err, os.ErrNotExist) {
		return current{}, nil
	}
	if err != nil {
		return current{}, err
	}
	var sum uint32
	_, err = fmt.Sscanf(string(content), "%d %d %08x\n", &c.number, &c.installed, &sum)
	if err != nil { // a file of before there was a checksum
		_, err = fmt.Sscanf(string(content), "%d %d\n", &c.number, &c.installed)
		sum = c.sum()
	}
	if err != nil || c.number == 0 || sum != c.sum() || !strings.HasSuffix(string(content), "\n") {
		return current{}, fmt.Errorf("cluster: %s: %w", d.join(currentFile), wrong("it says %q", content))
	}
	return c, nil
}

// flip makes another directory the one in use, durably.
func (d *stateDir) flip(to current) error {
	return writeFile(d.fs, d.path, currentFile, fmt.Appendf(nil, "%s %d %08x\n", to.name(), to.installed, to.sum()))
}

// readFile reads a small file.
func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// writeFile replaces dir/name by content, at once and durably.
func writeFile(fs vfs.FS, dir, name string, content []byte) error {
	temporary := fs.PathJoin(dir, name+".tmp")
	f, err := fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temporary, fs.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// makeDir makes a directory, durably when its parent existed.
func makeDir(fs vfs.FS, path string) error {
	if err := fs.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(path))
}

func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
