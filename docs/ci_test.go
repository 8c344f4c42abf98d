package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// testCommand is the README's command for the tests, and the last of CI.
const testCommand = "go test ./..."

func TestCI_EndsWithTheReadmesTestCommand(t *testing.T) {
	script := strings.TrimSpace(read(t, "../.ci/run"))
	if !strings.HasSuffix(script, "\n"+testCommand) {
		t.Errorf(".ci/run does not end with %q", testCommand)
	}
	if !strings.Contains(read(t, "../README.md"), "\n    "+testCommand) {
		t.Errorf("README.md does not name %q", testCommand)
	}
}

// TestCI_GeneratorsHaveTheVersionsOfTheLibraries: generated code belongs to the library it was generated for.
func TestCI_GeneratorsHaveTheVersionsOfTheLibraries(t *testing.T) {
	for _, module := range []string{"google.golang.org/protobuf", "connectrpc.com/connect"} {
		version := regexp.MustCompile(`\s` + regexp.QuoteMeta(module) + ` (v\S+)`)
		ours := version.FindStringSubmatch(read(t, "../go.mod"))
		tools := version.FindStringSubmatch(read(t, "../.ci/tools/go.mod"))
		if ours == nil || tools == nil || ours[1] != tools[1] {
			t.Errorf("%s is %v in go.mod and %v in .ci/tools/go.mod", module, ours, tools)
		}
	}
}
