package sdk

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A step in a stored graph and a task of a worker must agree about their types, and the agreement is
// about JSON, because that is what travels. So a fingerprint is the hash of a type's JSON shape: names
// of Go types, of packages, and whether there is a pointer, do not matter; names and shapes of fields do.

// fingerprint of a task from In to Out: 16 hexadecimal digits, or "" (which matches all) when nothing
// is known about either.
func fingerprint(in, out reflect.Type) string {
	a, b := shapeOf(in), shapeOf(out)
	if a == "any" && b == "any" {
		return ""
	}
	sum := sha256.Sum256([]byte(a + " -> " + b))
	return hex.EncodeToString(sum[:8])
}

// shapeOf describes the JSON that a type becomes, such as {"name":string,"sizes":[int]}.
func shapeOf(t reflect.Type) string {
	var b strings.Builder
	writeShape(&b, t, nil)
	return b.String()
}

var (
	jsonMarshaler  = reflect.TypeFor[json.Marshaler]()
	textMarshaler  = reflect.TypeFor[encoding.TextMarshaler]()
	timeType       = reflect.TypeFor[time.Time]()
	rawMessageType = reflect.TypeFor[json.RawMessage]()
	jsonNumberType = reflect.TypeFor[json.Number]()
)

// writeShape writes t's shape. above holds the struct types around it: a recursive type refers to the
// enclosing one by how far up it is, which two types of the same shape have in common.
func writeShape(b *strings.Builder, t reflect.Type, above []reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType:
		b.WriteString("time")
		return
	case t == rawMessageType:
		b.WriteString("any")
		return
	case t == jsonNumberType:
		b.WriteString("number")
		return
	case implements(t, jsonMarshaler):
		b.WriteString("custom")
		return
	case implements(t, textMarshaler):
		b.WriteString("string")
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		b.WriteString("bool")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		b.WriteString("int")
	case reflect.Float32, reflect.Float64:
		b.WriteString("float")
	case reflect.String:
		b.WriteString("string")
	case reflect.Interface:
		b.WriteString("any")
	case reflect.Slice, reflect.Array:
		writeListShape(b, t, above)
	case reflect.Map:
		b.WriteString("{*:")
		writeElemShape(b, t, above)
		b.WriteByte('}')
	case reflect.Struct:
		writeStructShape(b, t, above)
	default:
		fmt.Fprintf(b, "invalid:%s", t.Kind()) // a channel or a function: encoding will say so
	}
}

func writeListShape(b *strings.Builder, t reflect.Type, above []reflect.Type) {
	if isBytes(t) {
		b.WriteString("bytes")
		return
	}
	b.WriteByte('[')
	writeElemShape(b, t, above)
	b.WriteByte(']')
}

// writeElemShape guards against types that contain themselves without a struct, such as type T []T.
func writeElemShape(b *strings.Builder, t reflect.Type, above []reflect.Type) {
	if i := slices.Index(above, t); i >= 0 {
		fmt.Fprintf(b, "^%d", len(above)-i)
		return
	}
	writeShape(b, t.Elem(), append(above, t))
}

func writeStructShape(b *strings.Builder, t reflect.Type, above []reflect.Type) {
	if i := slices.Index(above, t); i >= 0 {
		fmt.Fprintf(b, "^%d", len(above)-i)
		return
	}
	fields := jsonFields(t)
	slices.SortFunc(fields, func(x, y jsonField) int { return strings.Compare(x.name, y.name) })
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", f.name)
		if f.quoted {
			b.WriteString("string")
			continue
		}
		writeShape(b, f.typ, append(above, t))
	}
	b.WriteByte('}')
}

// isBytes says whether encoding/json writes t as a base64 string.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 &&
		!implements(t.Elem(), jsonMarshaler) && !implements(t.Elem(), textMarshaler)
}

func implements(t, iface reflect.Type) bool {
	return t.Kind() != reflect.Interface && (t.Implements(iface) || reflect.PointerTo(t).Implements(iface))
}

// jsonField is a member that encoding/json gives to a struct.
type jsonField struct {
	name   string
	typ    reflect.Type
	offset uintptr // from the start of the outermost struct; meaningless behind a pointer
	direct bool    // offset is meaningful
	quoted bool    // ,string
	depth  int
	tagged bool
}

// jsonFields lists the members of a struct by encoding/json's rules: embedded structs are flattened,
// the shallowest name wins, at the same depth a tagged one, and otherwise none.
func jsonFields(t reflect.Type) []jsonField {
	var all []jsonField
	collectFields(&all, t, 0, true, 0, nil)
	best := map[string][]jsonField{}
	var order []string
	for _, f := range all {
		have := best[f.name]
		switch {
		case have == nil:
			order = append(order, f.name)
			best[f.name] = []jsonField{f}
		case f.depth < have[0].depth, f.depth == have[0].depth && f.tagged && !have[0].tagged:
			best[f.name] = []jsonField{f}
		case f.depth == have[0].depth && f.tagged == have[0].tagged:
			best[f.name] = append(have, f)
		}
	}
	var fields []jsonField
	for _, name := range order {
		if fs := best[name]; len(fs) == 1 {
			fields = append(fields, fs[0])
		}
	}
	return fields
}

func collectFields(all *[]jsonField, t reflect.Type, base uintptr, direct bool, depth int, above []reflect.Type) {
	if slices.Contains(above, t) {
		return
	}
	above = append(above, t)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		inner, pointed := f.Type, false
		if inner.Kind() == reflect.Pointer {
			inner, pointed = inner.Elem(), true
		}
		if f.Anonymous && name == "" && inner.Kind() == reflect.Struct && (f.IsExported() || !pointed) {
			collectFields(all, inner, base+f.Offset, direct && !pointed, depth+1, above)
			continue
		}
		if !f.IsExported() {
			continue
		}
		field := jsonField{name: name, typ: f.Type, offset: base + f.Offset, direct: direct, depth: depth, tagged: name != ""}
		if name == "" {
			field.name = f.Name
		}
		field.quoted = slices.Contains(strings.Split(opts, ","), "string") && quotable(f.Type)
		*all = append(*all, field)
	}
}

// quotable says whether encoding/json honours the string option for a field of this type.
func quotable(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k := t.Kind(); {
	case k == reflect.Bool, k == reflect.String, k >= reflect.Int && k <= reflect.Float64:
		return true
	}
	return false
}
