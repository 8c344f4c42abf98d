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

// addf adds a problem of a place: a step, the output, or "" for the graph as a whole.
func (p *problems) addf(place, format string, args ...any) {
	if len(p.errs) >= maxProblems {
		p.more++
		return
	}
	if place != "" {
		place += ": "
	}
	p.errs = append(p.errs, errors.New("dag: "+place+fmt.Sprintf(format, args...)))
}

func (p *problems) join() error {
	if p.more > 0 {
		return errors.Join(append(p.errs, fmt.Errorf("dag: and %d more problems", p.more))...)
	}
	return errors.Join(p.errs...)
}

func stepPlace(name string) string { return fmt.Sprintf("step %.80q", name) }
