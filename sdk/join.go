package sdk

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/fanfold/fanfold/dag"
)

// Pair is what Zip makes.
type Pair[A, B any] struct {
	First  A `json:"first"`
	Second B `json:"second"`
}

// Zip brings two values together: a fan-in of two. No task, no copy.
func Zip[A, B any](a Ref[A], b Ref[B]) Ref[Pair[A, B]] {
	return ref[Pair[A, B]](object(caller(1), []part{{name: "first", of: a.at}, {name: "second", of: b.at}}))
}

// Field is one value of a Join, with its place in the struct T.
type Field[T any] struct {
	_    [0]func(T)
	part part
}

// part is a Field without its type.
type part struct {
	name string
	of   anchor
	err  error
}

// Join brings any number of values together in a struct: the fan-in of a diamond. Fields of T that no
// Into names keep their zero values. No task, no copy.
func Join[T any](fields ...Field[T]) Ref[T] {
	parts := make([]part, len(fields))
	for i, f := range fields {
		parts[i] = f.part
	}
	return ref[T](object(caller(1), parts))
}

// Into names the field of T that a value goes into. field returns the address of that field in the
// struct that it is given, and so the compiler checks the name and the type:
//
//	sdk.Into(words, func(r *Report) *Counts { return &r.Words })
func Into[T, F any](r Ref[F], field func(*T) *F) Field[T] {
	name, err := fieldName(field)
	if err != nil {
		err = fmt.Errorf("%s: Into: %w", caller(1), err)
	}
	return Field[T]{part: part{name: name, of: r.at, err: err}}
}

// fieldName finds the JSON name of the field whose address the function returns.
func fieldName[T, F any](field func(*T) *F) (name string, err error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return "", fmt.Errorf("%v is not a struct", t)
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the function panics on a zero %v: %v", t, v)
		}
	}()
	var zero T
	p := field(&zero)
	offset := reflect.ValueOf(p).Pointer() - reflect.ValueOf(&zero).Pointer()
	for _, f := range jsonFields(t) {
		if f.direct && f.offset == offset && f.typ == reflect.TypeFor[F]() {
			return f.name, nil
		}
	}
	return "", fmt.Errorf("the function must return the address of a field of %v that JSON carries", t)
}

// object makes the value {name: of, ...}.
func object(at string, parts []part) anchor {
	b, err := commonBuilder(at, parts)
	if b == nil {
		return anchor{err: err}
	}
	bad := len(parts) == 0
	seen := map[string]bool{}
	e := dag.Expr{Op: dag.OpObject}
	for _, p := range parts {
		owner, err := p.of.live(at)
		switch {
		case p.err != nil:
			b.errs = append(b.errs, p.err)
			bad = true
		case errors.Is(err, errReported):
			bad = true
		case err != nil:
			b.errs = append(b.errs, err)
			bad = true
		case owner != b:
			b.fail(at, "field %s has a Ref of workflow %s", p.name, owner.name)
			bad = true
		case seen[p.name]:
			b.fail(at, "field %s is given twice", p.name)
			bad = true
		}
		seen[p.name] = true
		e.Fields = append(e.Fields, dag.Field{Name: p.name, Of: p.of.expr})
	}
	if bad {
		return b.failed()
	}
	return anchor{b: b, expr: e}
}

// commonBuilder is the first live builder among the parts: the one that mistakes are reported to.
func commonBuilder(at string, parts []part) (*builder, error) {
	err := fmt.Errorf("%s: Join has no fields", at)
	for _, p := range parts {
		if p.of.b != nil && !p.of.b.done {
			return p.of.b, nil
		}
		_, err = p.of.live(at)
	}
	return nil, err
}

// Const is a value known when the workflow is built, such as a list of inputs. at is any Ref of the
// workflow; nothing is read from it.
func Const[T any](at Anchor, v T) Ref[T] {
	where := caller(1)
	b, err := at.anchor().live(where)
	if err != nil {
		return ref[T](anchor{b: at.anchor().b, err: err})
	}
	data, err := encoder[T]()(v)
	if err != nil {
		b.fail(where, "Const: %v", err)
		return ref[T](b.failed())
	}
	return ref[T](anchor{b: b, expr: dag.Expr{Op: dag.OpConst, Value: data}})
}
