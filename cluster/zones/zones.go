// Package zones has the rules of all time zones: those of the node that proposes a schedule become a part
// of it, so that all replicas find the same ticks, whatever their systems say.
//
// zoneinfo.zip is the file of that name in the tree of Go (lib/time), made from the IANA time zone database,
// which is in the public domain; this one is release 2025c. Package time/tzdata carries the same and gives
// out locations only, never the bytes.
package zones

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:embed zoneinfo.zip
var archive []byte

// files are the entries of the archive by name.
var files = sync.OnceValues(func() (map[string]*zip.File, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("zones: %w", err)
	}
	all := make(map[string]*zip.File, len(r.File))
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") {
			all[f.Name] = f
		}
	}
	return all, nil
})

// Load returns the rules of a zone as a TZif file (RFC 9636), for time.LoadLocationFromTZData. An unknown
// name is an error that says what to write.
func Load(name string) ([]byte, error) {
	all, err := files()
	if err != nil {
		return nil, err
	}
	f := all[name]
	if f == nil {
		for known := range all {
			if strings.EqualFold(known, name) {
				return nil, fmt.Errorf("there is no time zone %q: write %s", name, known)
			}
		}
		return nil, fmt.Errorf("there is no time zone %.64q: use a name of the IANA database, as Europe/Berlin or UTC", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("zones: %s: %w", name, err)
	}
	defer r.Close()
	return io.ReadAll(r)
}
