package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
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
			if sub.Runnable() && !sub.Hidden && command.Name() != "dev" {
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

// refusalRow is a row of the table of refusals: the codes, the SDK's error, the exit code.
var refusalRow = regexp.MustCompile("(?m)^\\| ([A-Z_, ]+)(?::[^|]*)? \\| (`Err\\w+`|none) \\| (\\d+) \\|$")

// TestDocs_RefusalsHaveTheExitCodesOfThePage keeps the table of refusals equal to what the command does, and
// finds codes of the state machine that it forgets.
func TestDocs_RefusalsHaveTheExitCodesOfThePage(t *testing.T) {
	page, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{
		"STALE": true, "CANCELED": true, // answers to workers
		"WEBHOOK_PAUSED": true, // an answer to senders of webhooks
	}
	for _, row := range refusalRow.FindAllStringSubmatch(string(page), -1) {
		for _, code := range strings.Split(row[1], ", ") {
			known[code] = true
			if got, _ := exit.Of(remote.Refused(&apiv1.ErrorInfo{Code: code})); fmt.Sprint(int(got)) != row[3] {
				t.Errorf("%s ends the command with %d, the page says %s", code, got, row[3])
			}
		}
	}
	source, err := os.ReadFile("../../fsm/result.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Code\w+ +Code += "(\w+)"|Code\w+ Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if code := m[1] + m[2]; !known[code] {
			t.Errorf("%s does not say what a refusal %s is", cliPage, code)
		}
	}
}
