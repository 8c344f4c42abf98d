package inside_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// marks are what only the faults bring into a binary: the names of their functions, which Go keeps for stack
// traces also in a stripped one, what they say, and their flags' names.
var marks = []string{
	"jepsen-lite/inject.(*Faults)", "jepsen-lite/inject.(*logStore)", "jepsen-lite/inject.(*conn)",
	"chaos: the disk failed on order", "chaos: the disk is full on order",
	"where to take orders for faults; none: no faults",
	"a bug is planted in this binary", "fanfold/fsm.(*tx).rescue", // of a planted bug: package fsm/planted
}

// A release has no faults in it that anybody could order, and no planted bug; a binary built with the tags has them.
func TestRelease_HasNoFaults(t *testing.T) {
	for _, c := range []struct{ program, tags string }{{"cmd/fanfold", ""}, {"jepsen-lite", ""}, {"jepsen-lite", "chaos,bug_rescue"}} {
		t.Run(c.program+" "+c.tags, func(t *testing.T) {
			t.Parallel()
			binary := filepath.Join(t.TempDir(), "binary")
			inRepository(t, "build", "-tags", c.tags, "-ldflags=-s -w", "-o", binary, "./"+c.program)
			content, err := os.ReadFile(binary)
			if err != nil {
				t.Fatal(err)
			}
			for _, mark := range marks {
				if has := bytes.Contains(content, []byte(mark)); has != (c.tags != "") {
					t.Errorf("built with the tags %q, %s contains %q: %t", c.tags, c.program, mark, has)
				}
			}
		})
	}
}

// The packages that a program is made of include the faults with the tag, and only then.
func TestRelease_DoesNotImportFaults(t *testing.T) {
	for _, program := range []string{"cmd/fanfold", "jepsen-lite"} {
		for _, tags := range []string{"", "chaos"} {
			packages := inRepository(t, "list", "-tags", tags, "-deps", "./"+program)
			for _, faults := range []string{"jepsen-lite/inject", "pebble/v2/vfs/errorfs"} {
				if has := strings.Contains(packages, faults+"\n"); has != (tags == "chaos") {
					t.Errorf("with the tags %q, %s is made with the package %s: %t", tags, program, faults, has)
				}
			}
		}
	}
}

func inRepository(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.Command("go", arguments...)
	command.Dir = filepath.Join("..", "..")
	var errOut bytes.Buffer
	command.Stderr = &errOut
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", arguments, err, errOut.String())
	}
	return string(out)
}
