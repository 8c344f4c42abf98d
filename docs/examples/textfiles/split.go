package textfiles

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	minSplit = 4 << 10
	maxSplit = 1 << 20
	// wantedSplits is how many splits a corpus of middling size is cut into.
	wantedSplits = 200
	// partWeight is what one more part adds to a split, in bytes, so that a folder of a
	// million empty files does not become one split.
	partWeight = 256
)

// Split is the work of one map task: parts of files, in order.
type Split struct {
	Root  string `json:"root"`
	Parts []Part `json:"parts"`
}

// Part is a range of one file. The words of a part are those that begin in it: the last may reach
// beyond its end, and letters that continue a word from before it are not its own. So every word
// of a file belongs to exactly one of its parts, wherever the cuts fall.
type Part struct {
	File   int    `json:"file"` // the file's number in the corpus
	Path   string `json:"path"` // below the split's root, slash-separated
	Offset int64  `json:"offset,omitempty"`
	Length int64  `json:"length"`
}

// SplitSize is a good size of splits, in bytes: about 200 splits of 4 KiB to 1 MiB.
func (c *Corpus) SplitSize() int64 {
	return min(max(c.Bytes/wantedSplits, minSplit), maxSplit)
}

// Cut cuts the corpus into splits of about size bytes (0 means SplitSize), files in order. Files
// are cut wherever a split is full. Empty files are in no split.
func (c *Corpus) Cut(size int64) []Split {
	if size <= 0 {
		size = c.SplitSize()
	}
	var splits []Split
	open, room := Split{Root: c.Root}, size
	for file, path := range c.Files {
		for offset := int64(0); offset < c.Sizes[file]; {
			length := min(c.Sizes[file]-offset, max(room, 1))
			open.Parts = append(open.Parts, Part{File: file, Path: path, Offset: offset, Length: length})
			offset += length
			if room -= length + partWeight; room <= 0 {
				splits = append(splits, open)
				open, room = Split{Root: c.Root}, size
			}
		}
	}
	if len(open.Parts) > 0 {
		splits = append(splits, open)
	}
	return splits
}

// Read returns the bytes of one part's words: the range, without the letters that belong to a word
// from before it, and with those that end its last word.
func (s Split) Read(p Part) ([]byte, error) {
	data, err := readPart(filepath.Join(s.Root, filepath.FromSlash(p.Path)), p.Offset, p.Length)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.Path, err)
	}
	return data, nil
}

func readPart(path string, offset, length int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	from := max(offset-1, 0) // the byte before tells whether a word runs into the part
	data := make([]byte, offset+length-from)
	n, err := f.ReadAt(data, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	data = data[:n]
	if offset > 0 {
		skip := 0
		for skip < len(data) && letter(data[skip]) {
			skip++
		}
		if data = data[skip:]; len(data) == 0 {
			return nil, nil // one word covers the whole part: it began before
		}
	}
	return finishWord(f, data, offset+length)
}

// finishWord appends what follows at the given offset of the file until the last word of data ends.
func finishWord(f *os.File, data []byte, at int64) ([]byte, error) {
	var more [512]byte
	for len(data) > 0 && letter(data[len(data)-1]) {
		n, err := f.ReadAt(more[:], at)
		at += int64(n)
		end := 0
		for end < n && letter(more[end]) {
			end++
		}
		data = append(data, more[:end]...)
		if end < n || errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}
