package sdk

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

type node struct {
	Value int
	Next  *node
}

type knot struct {
	Value int
	Next  *knot
}

type base struct {
	ID   string
	Name string
}

type embedding struct {
	base
	Name  string `json:"name"`
	Size  int64  `json:",string"`
	Skip  func() `json:"-"`
	inner int
}

type color int

func (c color) MarshalText() ([]byte, error) { return []byte("red"), nil }

func TestShapeOf(t *testing.T) {
	cases := []struct {
		value any
		want  string
	}{
		{int8(0), "int"},
		{uint64(0), "int"},
		{float32(0), "float"},
		{[]byte{}, "bytes"},
		{[3]byte{}, "[int]"},
		{[][]string{}, "[[string]]"},
		{map[string]int{}, "{*:int}"},
		{map[int]*bool{}, "{*:bool}"},
		{time.Time{}, "time"},
		{json.RawMessage{}, "any"},
		{color(0), "string"},
		{struct{}{}, "{}"},
		{node{}, `{"Next":^1,"Value":int}`},
		{[]node{}, `[{"Next":^1,"Value":int}]`},
		{embedding{inner: 1}, `{"ID":string,"Name":string,"Size":string,"name":string}`},
		{Pair[int, []string]{}, `{"first":int,"second":[string]}`},
	}
	for _, c := range cases {
		if got := shapeOf(reflect.TypeOf(c.value)); got != c.want {
			t.Errorf("shape of %T: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestFingerprint_RenamedTypeKeepsIt(t *testing.T) {
	a := fingerprint(reflect.TypeFor[node](), reflect.TypeFor[[]node]())
	b := fingerprint(reflect.TypeFor[*knot](), reflect.TypeFor[[]*knot]())
	if a != b || len(a) != 16 {
		t.Errorf("fingerprints %q and %q", a, b)
	}
	if c := fingerprint(reflect.TypeFor[node](), reflect.TypeFor[node]()); c == a {
		t.Errorf("another output has the same fingerprint %q", c)
	}
	if c := fingerprint(reflect.TypeFor[any](), reflect.TypeFor[json.RawMessage]()); c != "" {
		t.Errorf("raw JSON has fingerprint %q", c)
	}
}

// TestFingerprint_Golden pins what is stored in graphs: another value here makes workers refuse the jobs
// of programs that were built before.
func TestFingerprint_Golden(t *testing.T) {
	got := fingerprint(reflect.TypeFor[embedding](), reflect.TypeFor[map[string][]float64]())
	if want := "bcd51ea2b997a34e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEncoder_NilSliceIsEmptyList(t *testing.T) {
	for name, encode := range map[string]func() ([]byte, error){
		"[]":         func() ([]byte, error) { return encoder[[]int]()(nil) },
		"[1]":        func() ([]byte, error) { return encoder[[]int]()([]int{1}) },
		"null":       func() ([]byte, error) { return encoder[[]byte]()(nil) },
		`{"*":null}`: func() ([]byte, error) { return encoder[map[string][]int]()(map[string][]int{"*": nil}) },
	} {
		if got, err := encode(); err != nil || string(got) != name {
			t.Errorf("got %s, %v, want %s", got, err, name)
		}
	}
}

func TestErrorType_NamesTheTellingType(t *testing.T) {
	deep := &json.SyntaxError{}
	for _, c := range []struct {
		err  error
		want string
	}{
		{context.Canceled, "*errors.errorString"},
		{Permanent(deep), "*json.SyntaxError"},
		{RetryAfter(wrap{deep}, 1), "sdk.wrap"},
		{&PanicError{Value: 1}, "*sdk.PanicError"},
	} {
		if got := errorType(c.err); got != c.want {
			t.Errorf("type of %v: got %s, want %s", c.err, got, c.want)
		}
	}
}

type wrap struct{ error }

func TestClip_KeepsValidUTF8(t *testing.T) {
	if got := clip("aé\xff", 2); got != "a" {
		t.Errorf("got %q", got)
	}
}
