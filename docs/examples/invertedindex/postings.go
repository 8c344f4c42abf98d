package invertedindex

import (
	"fmt"
	"strings"
)

// Postings is an ascending list of file numbers in a few characters: each number is stored as its
// distance from the one before (the first from -1), in digits of base 32, lowest first. The alphabet is
// that of base64 for URLs; a digit of 32 or more says that another follows. It is the coding that
// source maps use, without the sign.
type Postings string

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const (
	digitBits = 5
	more      = 1 << digitBits
)

// Files returns the numbers.
func (p Postings) Files() ([]int, error) {
	var files []int
	last, delta, shift := -1, 0, 0
	for i := range len(p) {
		digit := strings.IndexByte(alphabet, p[i])
		if digit < 0 || shift > 50 {
			return nil, fmt.Errorf("postings are broken at byte %d", i)
		}
		delta |= digit &^ more << shift
		shift += digitBits
		if digit&more == 0 {
			last += delta
			files = append(files, last)
			delta, shift = 0, 0
		}
	}
	if shift != 0 {
		return nil, fmt.Errorf("postings end in the middle of a number")
	}
	return files, nil
}

// builder collects the postings of many words.
type builder map[string]*postingsBuilder

type postingsBuilder struct {
	last int
	code []byte
}

// add notes that a file holds a word. Files must come in ascending order for each word.
func (b builder) add(word []byte, file int) error {
	p := b[string(word)]
	if p == nil {
		p = &postingsBuilder{last: -1}
		b[string(word)] = p
	}
	switch {
	case file < p.last:
		return fmt.Errorf("file %d of %q comes after file %d: the parts are out of order", file, word, p.last)
	case file == p.last:
		return nil
	}
	delta := file - p.last
	for ; delta >= more; delta >>= digitBits {
		p.code = append(p.code, alphabet[delta%more|more])
	}
	p.code = append(p.code, alphabet[delta])
	p.last = file
	return nil
}

func (b builder) index() Index {
	index := make(Index, len(b))
	for word, p := range b {
		index[word] = Postings(p.code)
	}
	return index
}
