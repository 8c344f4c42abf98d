package sdk_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestMistakes_DoNotCompile: the compiler knows the graph. Each marked line of the file is a mistake that
// other systems find at run time.
func TestMistakes_DoNotCompile(t *testing.T) {
	const file = "testdata/mistakes/mistakes.go"
	out, err := exec.Command("go", "build", "-gcflags=-e", "./testdata/mistakes").CombinedOutput()
	if err == nil {
		t.Fatal("the file compiles")
	}
	wrong := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^testdata.mistakes.mistakes\.go:(\d+):\d+: (.*)$`).FindAllStringSubmatch(string(out), -1) {
		wrong[m[1]] = m[2]
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, text := range strings.Split(string(source), "\n") {
		line := strconv.Itoa(i + 1)
		_, what, marked := strings.Cut(text, "// ERROR ")
		if marked {
			n++
		}
		if message := wrong[line]; marked != (message != "") {
			t.Errorf("line %s: marked %q, the compiler says %q", line, what, message)
		}
	}
	if n == 0 || len(wrong) == 0 {
		t.Errorf("%d marked lines, compiler's output:\n%s", n, out)
	}
}
