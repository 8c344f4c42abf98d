package dag

import (
	"errors"
	"fmt"
)

// problems collects what is wrong with a graph, so that it is all reported at once.
type problems struct {
	errs []error
	more int
}

// output stands for the graph's output where a step is expected.
var output = &Step{Name: "output"}

// addf adds a problem of a place: a step, the output, or nil for the graph as a whole.
func (p *problems) addf(place *Step, format string, args ...any) {
	if len(p.errs) >= maxProblems {
		p.more++
		return
	}
	text := fmt.Sprintf(format, args...)
	switch place {
	case nil:
	case output:
		text = "output: " + text
	default:
		text = fmt.Sprintf("step %.80q: %s", place.Name, text)
	}
	p.errs = append(p.errs, errors.New("dag: "+text))
}

func (p *problems) join() error {
	if p.more > 0 {
		return errors.Join(append(p.errs, fmt.Errorf("dag: and %d more problems", p.more))...)
	}
	return errors.Join(p.errs...)
}
