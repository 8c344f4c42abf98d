package sdk_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/surface.txt; read the diff, and commit what you can explain")

// TestSurface_IsWhatWasAgreed lists everything that programs can use. A line that goes or changes breaks
// somebody's program; a line that comes must be kept for ever.
func TestSurface_IsWhatWasAgreed(t *testing.T) {
	var got string
	for _, dir := range []string{".", "sdktest"} {
		got += "# " + dir + "\n" + strings.Join(surface(t, dir), "\n") + "\n"
	}
	const file = "testdata/surface.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("exported names have changed (-want +got); if it is meant, run go test -rewrite:\n%s", diff)
	}
}

// surface lists the exported declarations of a package, one a line. Each must have a doc comment.
func surface(t *testing.T, dir string) (lines []string) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(fset, files, dir)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name, text string, node any) {
		if text == "" && name != "Error" && name != "Unwrap" {
			t.Errorf("%s: no comment: %s", dir, line(fset, node))
		}
		lines = append(lines, line(fset, node))
	}
	values := func(all []*doc.Value) {
		for _, v := range all {
			for _, spec := range v.Decl.Specs {
				lines = append(lines, v.Decl.Tok.String()+" "+strings.Join(exported(spec.(*ast.ValueSpec)), ", "))
			}
		}
	}
	funcs := func(all []*doc.Func) {
		for _, f := range all {
			add(f.Name, f.Doc, f.Decl)
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs(p.Funcs)
	for _, typ := range p.Types {
		add(typ.Name, typ.Doc, typ.Decl)
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	slices.Sort(lines)
	return lines
}

func exported(spec *ast.ValueSpec) (names []string) {
	for _, n := range spec.Names {
		if n.IsExported() {
			names = append(names, n.Name)
		}
	}
	return names
}

// line prints a declaration without its comments and body on one line.
func line(fset *token.FileSet, node any) string {
	if f, ok := node.(*ast.FuncDecl); ok {
		f.Body, f.Doc = nil, nil
	}
	var b bytes.Buffer
	if err := (&printer.Config{Mode: printer.UseSpaces, Tabwidth: 4}).Fprint(&b, fset, node); err != nil {
		return err.Error()
	}
	var words []string
	for l := range strings.Lines(b.String()) {
		l, _, _ = strings.Cut(l, "//")
		words = append(words, strings.Fields(l)...)
	}
	return strings.Join(words, " ")
}
