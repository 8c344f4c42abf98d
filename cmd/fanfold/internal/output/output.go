// Package output prints what a command found: as a table for people or as JSON for programs. Data
// goes to standard output; everything else (progress, notes, errors) goes to standard error.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
)

// Format is the value of the flag -o.
type Format string

const (
	Table Format = "table"
	JSON  Format = "json"
)

// Check reports a format that does not exist.
func (f Format) Check() error {
	if f != Table && f != JSON {
		return exit.Usagef("unknown output format %q: use -o table or -o json", string(f))
	}
	return nil
}

// Printer writes a command's data.
type Printer struct {
	Out    io.Writer
	Format Format
}

// Message prints an API message: as JSON with the API's field names, or by the given table.
func (p Printer) Message(m proto.Message, table func(*Rows)) error {
	if p.Format == JSON {
		return p.protoJSON(m)
	}
	return p.rows(table)
}

// Value is Message for a value that is not of the API.
func (p Printer) Value(v any, table func(*Rows)) error {
	if p.Format == JSON {
		encoder := json.NewEncoder(p.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	return p.rows(table)
}

func (p Printer) rows(table func(*Rows)) error {
	w := tabwriter.NewWriter(p.Out, 0, 8, 2, ' ', 0)
	rows := &Rows{w: w}
	table(rows)
	return w.Flush()
}

// protoJSON re-indents, because protojson varies its white space on purpose.
func (p Printer) protoJSON(m proto.Message) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return err
	}
	return p.Value(json.RawMessage(raw), nil)
}

// Rows collects the lines of a table.
type Rows struct{ w io.Writer }

// Add appends a row. Line breaks inside a cell become spaces.
func (r *Rows) Add(cells ...any) {
	text := make([]string, len(cells))
	for i, cell := range cells {
		text[i] = strings.Join(strings.FieldsFunc(fmt.Sprint(cell), func(c rune) bool {
			return c == '\n' || c == '\r' || c == '\t'
		}), " ")
	}
	fmt.Fprintln(r.w, strings.TrimRight(strings.Join(text, "\t"), "\t"))
}

// Terminal reports whether w is a terminal that can move its cursor.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Colour reports whether w may be coloured: a terminal, and NO_COLOR not set.
func Colour(w io.Writer) bool {
	_, no := os.LookupEnv("NO_COLOR")
	return !no && Terminal(w)
}
