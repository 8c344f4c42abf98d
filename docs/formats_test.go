package docs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const formatPage = "formats.md"

func TestFormats_KeysAreThoseOfTheCode(t *testing.T) {
	var want []string
	for _, line := range strings.Split(read(t, "../fsm/keys.go"), "\n") {
		if key, ok := strings.CutPrefix(line, "//\t"); ok {
			want = append(want, key)
		} else if len(want) > 0 {
			break
		}
	}
	_, rest, _ := strings.Cut(section(t, formatPage, "Keys"), "```\n")
	keys, _, _ := strings.Cut(rest, "\n```")
	if diff := cmp.Diff(want, strings.Split(keys, "\n")); diff != "" {
		t.Errorf("the map of keys is not that of fsm/keys.go (-code +page):\n%s", diff)
	}
}

func TestFormats_CommandsAreThoseOfTheLog(t *testing.T) {
	var want, got []string
	fields := (&fsmpb.Command{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		want = append(want, fmt.Sprint(f.Number(), " ", f.Message().Name()))
	}
	for _, row := range rows(t, formatPage, "Commands") {
		got = append(got, row[0]+" "+row[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of commands is not that of the log (-program +page):\n%s", diff)
	}
}

func TestFormats_StateNumbersAreThoseOfTheProgram(t *testing.T) {
	var want, got []string
	for n := uint8(1); fsm.TaskState(n).String() != ""; n++ {
		want = append(want, fmt.Sprint(n, " ", fsm.TaskState(n), " ", fsm.JobState(n)))
	}
	for _, row := range rows(t, formatPage, "Records") {
		if len(row) == 3 && strings.Trim(row[0], "0123456789") == "" {
			got = append(got, strings.Join(row, " "))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the numbers of states (-program +page):\n%s", diff)
	}
}

func TestFormats_EntryBeginsWithTheVersion(t *testing.T) {
	entry, err := fsm.EncodeEntry(1, []*fsmpb.Command{{Kind: &fsmpb.Command_HashState{HashState: &fsmpb.HashState{}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("% x", entry[:4]); got != "02 08 01 12" {
		t.Errorf("an entry begins with %s; the page says 02, 08 and the time, 12 and a command", got)
	}
}
