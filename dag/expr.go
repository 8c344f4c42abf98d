package dag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Input is the job's input.
func Input() Expr { return Expr{Op: OpInput} }

// Result is the result of the named step; of a map step, the list of its results in item order.
func Result(step string) Expr { return Expr{Op: OpStep, Step: step} }

// Const is a fixed JSON document, part of the graph.
func Const(doc []byte) Expr { return Expr{Op: OpConst, Value: doc} }

// Object is a JSON object of the fields, in the order given.
func Object(fields ...Field) Expr { return Expr{Op: OpObject, Fields: fields} }

// Chunk cuts the list into lists of n items; the last one may be shorter.
func Chunk(list Expr, n uint32) Expr { return Expr{Op: OpChunk, Of: &list, N: n} }

// Flatten makes one list of a list of lists.
func Flatten(lists Expr) Expr { return Expr{Op: OpFlatten, Of: &lists} }

// StepID is the resolved reference of an OpStep expression of a built graph.
func (e Expr) StepID() StepID { return e.id }

// maxExprText bounds String, which serves error messages.
const maxExprText = 200

// String writes the expression for people: input, count, chunk(plan, 3), flatten(plan),
// {a: x, b: y}, const 7. It is cut at 200 bytes.
func (e Expr) String() string {
	var b strings.Builder
	e.write(&b)
	if b.Len() > maxExprText {
		return b.String()[:maxExprText] + "..."
	}
	return b.String()
}

func (e Expr) write(b *strings.Builder) {
	if b.Len() > maxExprText {
		return // String cuts it anyway; this also ends an expression that holds itself
	}
	switch e.Op {
	case OpStep:
		b.WriteString(e.Step)
	case OpConst:
		b.WriteString("const ")
		b.Write(e.Value[:min(len(e.Value), maxExprText)])
	case OpObject:
		b.WriteByte('{')
		for i, f := range e.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name + ": ")
			f.Of.write(b)
		}
		b.WriteByte('}')
	case OpChunk, OpFlatten:
		b.WriteString(string(e.Op) + "(")
		if e.Of != nil {
			e.Of.write(b)
		}
		if e.Op == OpChunk {
			b.WriteString(", " + strconv.FormatUint(uint64(e.N), 10))
		}
		b.WriteByte(')')
	default:
		b.WriteString(string(e.Op))
	}
}

// walk visits the expression and all it is made of, parents first.
func (e *Expr) walk(visit func(*Expr)) {
	visit(e)
	for i := range e.Fields {
		e.Fields[i].Of.walk(visit)
	}
	if e.Of != nil {
		e.Of.walk(visit)
	}
}

// copyExpr returns a copy that shares nothing with root. Only here may an expression be too deep, too
// large, or hold itself: it is reported, and what is returned is finite.
func copyExpr(root Expr, p *problems, place *Step) Expr {
	nodes, reported := 0, false
	var dup func(e Expr, depth int) Expr
	dup = func(e Expr, depth int) Expr {
		if nodes++; !reported && (depth > MaxDepth || nodes > maxExprNodes) {
			reported = true
			p.addf(place, "the expression %s is nested deeper than %d or has more than %d parts: compute a part of it in a task", root, MaxDepth, maxExprNodes)
		}
		if reported {
			return Expr{Op: e.Op}
		}
		e.Value = compacted(e.Value)
		fields := e.Fields
		e.Fields = nil
		for _, f := range fields {
			e.Fields = append(e.Fields, Field{Name: f.Name, Of: dup(f.Of, depth+1)})
		}
		if e.Of != nil {
			of := dup(*e.Of, depth+1)
			e.Of = &of
		}
		return e
	}
	return dup(root, 1)
}

// compacted takes out the space of a document; one that is not JSON is returned as it is, for
// validate to report.
func compacted(doc Raw) Raw {
	var b bytes.Buffer
	if json.Compact(&b, doc) != nil {
		return doc
	}
	return b.Bytes()
}

// MarshalJSON writes the document as it is.
func (r Raw) MarshalJSON() ([]byte, error) {
	if !json.Valid(r) {
		return nil, fmt.Errorf("dag: a constant is not JSON: %.40q", []byte(r))
	}
	return r, nil
}

// UnmarshalJSON keeps the document, without space between its tokens.
func (r *Raw) UnmarshalJSON(doc []byte) error {
	*r = compacted(append([]byte(nil), doc...))
	return nil
}
