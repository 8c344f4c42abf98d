package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// encodedNote says that a value was encoded by its program; "" when it is in the clear. What encodes values
// is a codec of the SDK, whose keys this tool does not have.
func encodedNote(doc []byte) string {
	i := bytes.Index(doc, []byte(`{"$encoded":`))
	if i < 0 {
		return ""
	}
	var e struct {
		Codec string `json:"$encoded"`
		Key   string `json:"key"`
	}
	if err := json.NewDecoder(bytes.NewReader(doc[i:])).Decode(&e); err != nil || e.Codec == "" {
		return ""
	}
	what := "encoded"
	if i > 0 {
		what = "encoded in part"
	}
	return fmt.Sprintf("%s by %s, key %q: a program with that key reads it", what, e.Codec, e.Key)
}
