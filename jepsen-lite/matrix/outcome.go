package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Outcome is what a matrix came to, as it keeps it beside the runs.
type Outcome struct {
	Tier    string  `json:"tier"`
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
	Totals  Totals  `json:"totals"`
	// LeftOut is of the tier's table, but not of this program.
	LeftOut []string `json:"left_out,omitempty"`
	Rows    []Row    `json:"rows"`
}

// outcomeFile is the name of an outcome in the directory of its runs.
const outcomeFile = "matrix.json"

// Save writes the outcome into the directory of its runs.
func (o *Outcome) Save(dir string) error {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, outcomeFile), append(data, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(dir string) (*Outcome, error) {
	data, err := os.ReadFile(filepath.Join(dir, outcomeFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: it is not the directory of a matrix that ended", dir, outcomeFile)
	}
	if err != nil {
		return nil, err
	}
	o := &Outcome{}
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", outcomeFile, dir, err)
	}
	return o, nil
}
