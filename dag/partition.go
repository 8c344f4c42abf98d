package dag

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PartitionOf reads a task's partition out of its input: the scalar that a JSON pointer (RFC 6901)
// leads to, as text. A string is its characters, a number or boolean is as it is written. Where nothing
// is, or null, a list or an object, the partition is "". Longer text is cut to 255 bytes.
//
// The same bytes give the same text on every machine: a number is never read as a float.
func PartitionOf(doc []byte, pointer string) string {
	value := json.RawMessage(doc)
	for _, token := range pointerTokens(pointer) {
		var ok bool
		if value, ok = member(value, token); !ok {
			return ""
		}
	}
	value = json.RawMessage(strings.TrimSpace(string(value)))
	switch {
	case len(value) == 0 || value[0] == '{' || value[0] == '[' || value[0] == 'n':
		return ""
	case value[0] != '"':
		return cutName(string(value))
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return ""
	}
	return cutName(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, text))
}

// member takes one step of a pointer.
func member(value json.RawMessage, token string) (json.RawMessage, bool) {
	text := strings.TrimSpace(string(value))
	switch {
	case strings.HasPrefix(text, "{"):
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) != nil {
			return nil, false
		}
		v, ok := fields[token]
		return v, ok
	case strings.HasPrefix(text, "["):
		i, err := strconv.ParseUint(token, 10, 31)
		var items []json.RawMessage
		if err != nil || json.Unmarshal(value, &items) != nil || i >= uint64(len(items)) {
			return nil, false
		}
		return items[i], true
	}
	return nil, false
}

// ValidPointer reports whether a string may be Options.PartitionBy: a JSON pointer of at most 255 bytes, which
// is empty or has a slash before each name, with ~0 and ~1 for ~ and /.
func ValidPointer(p string) bool {
	if p != "" && p[0] != '/' || len(p) > MaxName || !utf8.ValidString(p) {
		return false
	}
	for i := range len(p) {
		if p[i] == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return false
		}
	}
	return true
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func pointerTokens(p string) []string {
	if p == "" {
		return nil
	}
	tokens := strings.Split(p[1:], "/")
	for i, t := range tokens {
		tokens[i] = unescape.Replace(t)
	}
	return tokens
}

// cutName cuts text to the length of a name, between characters.
func cutName(s string) string {
	if len(s) <= MaxName {
		return s
	}
	n := MaxName
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
