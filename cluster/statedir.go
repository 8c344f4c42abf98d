package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stateDir is the directory of the state machine's data:
//
//	CURRENT     the name of the directory in use: one line
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

// openStateDir makes the directory when it is missing, and removes what a crash left over.
func openStateDir(fs vfs.FS, path string) (*stateDir, error) {
	d := &stateDir{fs: fs, path: path}
	if err := makeDir(fs, path); err != nil {
		return nil, err
	}
	current, err := d.current()
	if err != nil {
		return nil, err
	}
	if current == "" {
		current = d.name(1)
		if err := d.flip(current); err != nil {
			return nil, err
		}
	}
	names, err := fs.List(path)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name != currentFile && name != current {
			if err := fs.RemoveAll(fs.PathJoin(path, name)); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (d *stateDir) name(n uint64) string { return fmt.Sprintf("%06d", n) }

func (d *stateDir) join(name string) string { return d.fs.PathJoin(d.path, name) }

// current returns the directory in use, "" when there is none yet.
func (d *stateDir) current() (string, error) {
	content, err := readFile(d.fs, d.join(currentFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(string(content), "\n")
	if _, err := strconv.ParseUint(name, 10, 64); err != nil {
		return "", fmt.Errorf("cluster: %s is damaged: it says %q", d.join(currentFile), content)
	}
	return name, nil
}

// next returns a name that has not been used.
func (d *stateDir) next() (string, error) {
	current, err := d.current()
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(current, 10, 64)
	return d.name(n + 1), err
}

// flip makes name the directory in use, durably.
func (d *stateDir) flip(name string) error {
	return writeFile(d.fs, d.path, currentFile, []byte(name+"\n"))
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
