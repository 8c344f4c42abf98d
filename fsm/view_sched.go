package fsm

// Queue returns a queue, or ErrNotFound.
func (v *View) Queue(namespace, name string) (QueueView, error) {
	all, err := v.Queues()
	if err != nil {
		return QueueView{}, err
	}
	for _, q := range all {
		if q.Namespace == namespace && q.Name == name {
			return q, nil
		}
	}
	return QueueView{}, ErrNotFound
}

// plan is for readers: a plan of names, without numbers, that the machine's goroutine never sees.
func (v *View) plan(j *job) *plan {
	g := v.m.graphs.get(v.disk, j.graph)
	p := &plan{graph: g, steps: make([]stepPlan, g.Len())}
	for i := range p.steps {
		s := &g.Steps[i]
		o := s.Options.WithDefaults()
		p.steps[i] = stepPlan{step: s, opts: o, retry: o.Retry.WithDefaults(), priority: o.Priority}
	}
	return p
}
