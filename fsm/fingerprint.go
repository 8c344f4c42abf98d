package fsm

import (
	"strings"
	"unicode/utf8"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// fingerprint is the same for errors that differ only in what changes from one case to the next: numbers,
// ids, addresses, quoted words. It is part of the state, so what it does must not change within a format.
//
// It is the FNV-1a hash of the error's type, its message without those parts, and the first function of
// its stack. Never 0, which in filters means any.
func fingerprint(e *fsmpb.Error) uint64 {
	h := uint64(14695981039346656037)
	for _, part := range []string{e.GetType(), stripped(e.GetMessage()), firstFrame(e.GetStack())} {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no byte of UTF-8: the parts do not run together
	}
	return max(h, 1)
}

// stripped is a message with # for each quoted text and for each word that has a digit in it: numbers, hex,
// ULIDs, UUIDs, addresses.
func stripped(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		c := s[0]
		if c == '"' || c == '\'' || c == '`' {
			if end := strings.IndexByte(s[1:], c); end >= 0 && (c != '\'' || !wordByte(s, end+2)) {
				b.WriteByte('#')
				s = s[end+2:]
				continue
			}
		}
		n := wordLength(s)
		if n == 0 {
			b.WriteByte(c)
			s = s[1:]
			continue
		}
		if strings.ContainsAny(s[:n], "0123456789") {
			b.WriteByte('#')
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// wordLength is how many bytes of s are a word: letters, digits, and what ids have within.
func wordLength(s string) (n int) {
	for n < len(s) && (wordByte(s, n) || n > 0 && (s[n] == '-' || s[n] == '_') && wordByte(s, n+1)) {
		n++
	}
	return n
}

func wordByte(s string, i int) bool {
	if i >= len(s) {
		return false
	}
	c := s[i]
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
}

// firstFrame is the function that a Go stack begins with, past the runtime's own: what panicked. Other
// stacks give their first line, without numbers.
func firstFrame(stack string) string {
	if stack == "" {
		return ""
	}
	lines := strings.Split(stack, "\n")
	if !strings.HasPrefix(lines[0], "goroutine ") {
		return stripped(lines[0])
	}
	past := false
	for _, line := range lines[1:] {
		name, _, ok := strings.Cut(line, "(0x")
		if !ok {
			name, _, ok = strings.Cut(line, "({")
		}
		if strings.HasPrefix(line, "panic(") {
			past = true
			continue
		}
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "runtime") || !past {
			continue
		}
		if !ok {
			name = strings.TrimSuffix(line, "(...)")
		}
		return name
	}
	return ""
}
