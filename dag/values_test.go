package dag

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// readValues reads lines "name: document" and "name: map doc | doc | -", where - is an absent
// element; the expression is the last line.
func readValues(t *testing.T, d *datadriven.TestData) (Expr, values) {
	lines := strings.Split(strings.TrimSuffix(d.Input, "\n"), "\n")
	last := len(lines) - 1
	v := values{docs: map[string]string{}, maps: map[string]elements{}}
	for _, line := range lines[:last] {
		name, value, _ := strings.Cut(line, ":")
		list, isMap := strings.CutPrefix(strings.TrimSpace(value), "map")
		if !isMap {
			v.docs[name] = value
			continue
		}
		v.maps[name] = nil
		for doc := range strings.SplitSeq(list, "|") {
			v.maps[name] = append(v.maps[name], strings.TrimSpace(doc))
		}
	}
	p := exprParser{text: lines[last]}
	e := p.expr()
	if p.failed || strings.TrimSpace(p.text) != "" {
		d.Fatalf(t, "cannot read the expression at %q", p.text)
	}
	return e, v
}

// values is a Resolver over documents and maps by name; the job's input is named input.
type values struct {
	docs map[string]string
	maps map[string]elements
}

func (v values) IsList(e *Expr) bool {
	_, ok := v.maps[e.Step]
	return e.Op == OpStep && ok
}

func (v values) Elements(e *Expr) (Elements, error) { return v.maps[e.Step], nil }

func (v values) Document(e *Expr) (Document, error) {
	name := e.Step
	switch e.Op {
	case OpConst:
		return Bytes(e.Value), nil
	case OpInput:
		name = "input"
	}
	doc, ok := v.docs[name]
	if !ok {
		return nil, fmt.Errorf("no value of %q", name)
	}
	return strings.NewReader(doc), nil // a Document that is no Bytes, so it is read in windows
}

// elements are a map's results; "-" is absent.
type elements []string

func (e elements) Len() uint64 { return uint64(len(e)) }

func (e elements) At(i uint64) ([]byte, bool, error) {
	if e[i] == "broken" {
		return nil, false, fmt.Errorf("the disk is on fire")
	}
	return []byte(e[i]), e[i] != "-", nil
}

// exprParser reads what Expr.String writes, for scripts; a constant ends at the end of the line.
type exprParser struct {
	text   string
	failed bool
}

func (p *exprParser) take(sign string) bool {
	p.text = strings.TrimLeft(p.text, " ")
	rest, ok := strings.CutPrefix(p.text, sign)
	if ok {
		p.text = rest
	}
	return ok
}

func (p *exprParser) need(sign string) {
	p.failed = p.failed || !p.take(sign)
}

func (p *exprParser) word() string {
	p.take("")
	end := slices.IndexFunc([]byte(p.text), func(c byte) bool { return !ValidName(string(rune(c))) })
	if end < 0 {
		end = len(p.text)
	}
	word := p.text[:end]
	p.text = p.text[end:]
	return word
}

func (p *exprParser) expr() Expr {
	if p.failed {
		return Expr{}
	}
	if p.take("{") {
		return Object(p.fields()...)
	}
	switch word := p.word(); word {
	case "input":
		return Input()
	case "const":
		value := p.text
		p.text = ""
		return Const([]byte(value))
	case "flatten":
		p.need("(")
		e := Flatten(p.expr())
		p.need(")")
		return e
	case "chunk":
		p.need("(")
		of := p.expr()
		p.need(",")
		var n uint32
		_, err := fmt.Sscan(p.word(), &n)
		p.failed = p.failed || err != nil
		p.need(")")
		return Chunk(of, n)
	default:
		p.failed = word == ""
		return Result(word)
	}
}

func (p *exprParser) fields() (fields []Field) {
	for !p.failed && !p.take("}") {
		name := p.word()
		p.need(":")
		fields = append(fields, Field{Name: name, Of: p.expr()})
		p.take(",")
	}
	return fields
}
