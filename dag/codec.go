package dag

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Version is the version of the encoded form. A graph of a later version is refused, not guessed at.
const Version = 1

// envelope is the stored form: the graph's fields behind the version.
type envelope struct {
	V int `json:"v"`
	*Graph
}

// header is as much of the stored form as every version has.
type header struct {
	V *int `json:"v"`
}

// Encode returns the one JSON form of a graph: equal graphs give equal bytes. The graph must come
// from Build, Parse or Decode; of another one with a broken constant it panics.
func Encode(g *Graph) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // constants stay byte for byte
	if err := enc.Encode(envelope{Version, g}); err != nil {
		panic("dag: Encode of a graph that Build did not make: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Equal reports whether two graphs are the same.
func (g *Graph) Equal(h *Graph) bool {
	return bytes.Equal(Encode(g), Encode(h))
}

// Decode reads an encoded graph and checks it as Build does, with all problems in one error. It is
// strict: unknown, repeated or wrongly cased fields, another version, and steps out of order are
// refused. It sorts nothing, because the bytes are stored and compared as they came.
func Decode(data []byte) (*Graph, error) {
	if len(data) > MaxEncoded {
		return nil, fmt.Errorf("dag: the encoded graph has %d bytes, the limit is %d: pass large constants as the job's input", len(data), MaxEncoded)
	}
	var version header
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("dag: the encoded graph is not a JSON object with a version: %w", err)
	}
	switch {
	case version.V == nil:
		return nil, errors.New(`dag: the encoded graph has no version: it must have "v":1`)
	case *version.V != Version:
		return nil, fmt.Errorf("dag: the encoded graph has version %d, and this program reads version %d: use the same release on both sides", *version.V, Version)
	}
	if err := checkKeys(newWindow(Bytes(data)), data); err != nil {
		return nil, fmt.Errorf("dag: the encoded graph: %w", err)
	}
	env := envelope{Graph: new(Graph)}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&env); err != nil {
		return nil, fmt.Errorf("dag: the encoded graph: %w", err)
	}
	return env.Graph.finish()
}

// finish checks and links a decoded graph.
func (g *Graph) finish() (*Graph, error) {
	var p problems
	for i := range g.Steps {
		g.Steps[i].Input = copyExpr(g.Steps[i].Input, &p, &g.Steps[i])
	}
	g.Output = copyExpr(g.Output, &p, output)
	if err := p.join(); err != nil {
		return nil, err
	}
	validate(g, &p)
	checkOrder(g, &p)
	if err := p.join(); err != nil {
		return nil, err
	}
	g.link()
	return g, nil
}

// checkKeys refuses what encoding/json would let pass and would not write back: a field given twice,
// or spelled in other case or with escapes. A constant's own members are the user's and are skipped.
// w reads data.
func checkKeys(w *window, data []byte) error {
	opened, err := w.scalarOrOpen()
	if err != nil || opened == 0 {
		return err
	}
	var seen []string // an object of the graph has a dozen fields at most
	empty, err := w.first(opened)
	for more := !empty; more && err == nil; more, err = w.separator(opened) {
		constant := false
		if opened == '{' {
			field := string(data[w.member[0]:w.member[1]])
			if slices.Contains(seen, field) || strings.Trim(field, "abcdefghijklmnopqrstuvwxyz_") != "" {
				return fmt.Errorf("the field %.80q is repeated or not in plain lower case: write each field once, as Encode does", field)
			}
			seen = append(seen, field)
			constant = field == "value"
		}
		if constant {
			err = w.value(0)
		} else {
			err = checkKeys(w, data)
		}
		if err != nil {
			return err
		}
	}
	return err
}
