package dag

import (
	"strings"
	"testing"
)

func TestPartitionOf(t *testing.T) {
	doc := `{"customer":{"id":"tenant-7","n":12345678901234567890,"f":1.50,"b":true,"z":null,"l":["x","y"]},"a/b":{"~":"odd"},"":"empty","nl":"a\nb"}`
	for pointer, want := range map[string]string{
		"/customer/id": "tenant-7", "/customer/n": "12345678901234567890", "/customer/f": "1.50", "/customer/b": "true",
		"/customer/z": "", "/customer/l": "", "/customer/l/1": "y", "/customer/l/2": "", "/customer/l/-": "", "/customer": "",
		"/a~1b/~0": "odd", "/": "empty", "/none": "", "/customer/id/deeper": "", "/nl": "a_b", "": "",
	} {
		if got := PartitionOf([]byte(doc), pointer); got != want {
			t.Errorf("%s leads to %q, want %q", pointer, got, want)
		}
	}
	if got := PartitionOf([]byte(`"whole"`), ""); got != "whole" {
		t.Errorf("the empty pointer is the whole document, not %q", got)
	}
	long := strings.Repeat("ü", 200)
	if got := PartitionOf([]byte(`"`+long+`"`), ""); got != long[:254] {
		t.Errorf("a long partition is cut between characters: %d bytes", len(got))
	}
}

func TestPartitionBy_IsCheckedAtBuild(t *testing.T) {
	try := func(kind StepKind, pointer string) error {
		b := NewBuilder("w")
		s := Step{Task: "t", Input: Input(), Options: Options{PartitionBy: pointer}}
		if kind == StepMap {
			b.Output(b.Map("s", s))
		} else {
			b.Output(b.Task("s", s))
		}
		_, err := b.Build()
		return err
	}
	if err := try(StepTask, "/customer/id"); err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{
		"customer": "is no JSON pointer", "/a~2": "is no JSON pointer", "/" + strings.Repeat("x", 300): "is no JSON pointer",
	} {
		if err := try(StepTask, pointer); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", pointer, err, want)
		}
	}
	if err := try(StepMap, "/customer/id"); err == nil || !strings.Contains(err.Error(), "partition_by is for a plain task") {
		t.Errorf("on a map: %v", err)
	}
}
