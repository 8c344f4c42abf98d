package progress

import (
	"fmt"
	"strings"

	"github.com/fanfold/fanfold/sdk/api/v1"
)

// OfJob makes one bar of each step of a job, labelled prefix and step name.
func OfJob(prefix string, job *apiv1.JobStatus) []Bar {
	var bars []Bar
	for _, step := range job.GetSteps() {
		bar := Bar{Label: prefix + step.GetName(), State: step.GetState(), Done: step.GetSucceeded(), Total: step.GetTotal()}
		var notes []string
		if p := step.GetProgress(); p != nil {
			notes = append(notes, strings.TrimSpace(fmt.Sprintf("%d/%d %s", p.GetDone(), p.GetTotal(), p.GetNote())))
		}
		if step.GetRetrying() > 0 {
			notes = append(notes, fmt.Sprintf("%d wait to be tried again", step.GetRetrying()))
		}
		if step.GetDead() > 0 {
			notes = append(notes, fmt.Sprintf("%d dead", step.GetDead()))
		}
		bar.Note = strings.Join(notes, ", ")
		bars = append(bars, bar)
	}
	return bars
}
