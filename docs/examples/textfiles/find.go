package textfiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// sniffed is how much of a file decides whether it is text.
const sniffed = 8 << 10

// Corpus is the list of the text files under one folder, in the order of their paths. A file's
// position in Files is its number.
type Corpus struct {
	// Root is the folder, absolute, with symbolic links resolved.
	Root string
	// Files are slash-separated paths below Root, Sizes their lengths in bytes.
	Files []string
	Sizes []int64
	// Bytes is the sum of Sizes.
	Bytes int64
	// Unreadable counts the files and folders left out because they could not be opened, or
	// because their name is not UTF-8 and so could not travel in JSON.
	Unreadable int
}

// Find walks the folder root, or takes the single file root. It fails when root itself cannot be
// read; what cannot be read below it is left out and counted. Two calls on an unchanged folder
// give the same corpus.
func Find(root string) (*Corpus, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if absolute, err = filepath.EvalSymlinks(absolute); err != nil {
		return nil, err
	}
	c := &Corpus{Root: absolute}
	err = filepath.WalkDir(absolute, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if path == absolute {
				return err
			}
			c.Unreadable++
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		return c.add(path)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// add takes in one regular file if it is text.
func (c *Corpus) add(path string) error {
	name, err := filepath.Rel(c.Root, path)
	if err != nil {
		return fmt.Errorf("path of %s below %s: %w", path, c.Root, err)
	}
	if !utf8.ValidString(name) {
		c.Unreadable++
		return nil
	}
	size, text, err := sniff(path)
	if err != nil {
		c.Unreadable++
		return nil
	}
	if !text {
		return nil
	}
	c.Files = append(c.Files, filepath.ToSlash(name))
	c.Sizes = append(c.Sizes, size)
	c.Bytes += size
	return nil
}

// Path returns where a file of the corpus is on this machine.
func (c *Corpus) Path(file int) string {
	return filepath.Join(c.Root, filepath.FromSlash(c.Files[file]))
}

// sniff returns a file's size and whether its beginning looks like text.
func sniff(path string) (size int64, text bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, false, err
	}
	return info.Size(), bytes.IndexByte(head[:n], 0) < 0, nil
}
