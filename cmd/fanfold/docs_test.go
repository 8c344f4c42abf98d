package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
)

const cliPage = "../../docs/cli.md"

// TestDocs_ExitCodesAreThoseOfTheProgram keeps the table of the page equal to the one in the program.
func TestDocs_ExitCodesAreThoseOfTheProgram(t *testing.T) {
	page, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, code := range exit.Codes {
		fmt.Fprintf(&want, "| %d | %s |\n", code.Code, code.Meaning)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("the table of exit codes in %s should be:\n%s", cliPage, want.String())
	}
}

// TestDocs_EveryCommandIsOnThePage finds sub-commands that the page forgets.
func TestDocs_EveryCommandIsOnThePage(t *testing.T) {
	page, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	var a app
	for _, command := range a.root().Commands() {
		names := []string{"fanfold " + command.Name()}
		for _, sub := range command.Commands() {
			if sub.Runnable() && command.Name() != "dev" {
				names = append(names, sub.Name())
			}
		}
		for _, name := range names {
			if !strings.Contains(string(page), name) {
				t.Errorf("%s does not mention %q", cliPage, name)
			}
		}
	}
}
