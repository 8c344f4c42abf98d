package dag

// ResultOf is the expression for the result of one of the graph's steps.
func (g *Graph) ResultOf(id StepID) *Expr {
	return &Expr{Op: OpStep, Step: g.Steps[id].Name, id: id}
}
