package trial

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fanfold/fanfold/jepsen-lite/site"
)

func TestReadOutput_AlarmsAreLinesOfTheRuntimeAndNotOfTasks(t *testing.T) {
	log := filepath.Join(t.TempDir(), "n1.log")
	text := `time=1 level=INFO msg="the leader's state is installed" index=7
time=2 level=WARN msg="a task failed" error="panic: on purpose"
panic: no

goroutine 1 [running]:
==================
WARNING: DATA RACE
fatal error: all goroutines are asleep`
	if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &trial{site: &site.Site{Nodes: []*site.Node{{ID: "n1", Log: log}}, Workers: []*site.Worker{{Log: log + " is missing"}}}}
	out, err := r.readOutput()
	want := []string{"n1.log:3: panic: no", "n1.log:7: WARNING: DATA RACE", "n1.log:8: fatal error: all goroutines are asleep"}
	if err != nil || !slices.Equal(out.Alarms, want) || out.Installs["n1"] != 1 || out.Lines != 8 {
		t.Errorf("%+v, %v", out, err)
	}
}
