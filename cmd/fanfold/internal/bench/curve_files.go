package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

// readCurve returns a curve that was measured before, if those are to be left out; else nil.
func readCurve(config CurvesConfig, name string) *Curve {
	if !config.Missing || config.Out == "" {
		return nil
	}
	data, err := os.ReadFile(config.path(name, ".json"))
	if err != nil {
		return nil
	}
	c := &Curve{}
	if err := json.Unmarshal(data, c); err != nil {
		config.Note("%s is no curve, and is measured again: %v", config.path(name, ".json"), err)
		return nil
	}
	return c
}

// write stores a curve as JSON and as a figure.
func (c *curve) write(config CurvesConfig, result *Curve) error {
	if config.Out == "" {
		return nil
	}
	if err := os.MkdirAll(config.Out, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(config.path(c.name, ".json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(config.path(c.name, ".svg"), []byte(c.figure(result).SVG()), 0o644)
}

// figure draws what was measured.
func (c *curve) figure(result *Curve) plot.Figure {
	f := plot.Figure{Title: c.title, Below: []string{c.below}, X: c.axis}
	for _, p := range c.panels {
		f.Panels = append(f.Panels, p.plot(result.Points))
	}
	f.Notes = append(f.Notes, result.Conditions.lines()...)
	for _, v := range result.Verdicts {
		held := "missed"
		if v.Held {
			held = "reached"
		}
		f.Notes = append(f.Notes, fmt.Sprintf("Aim: %s; measured %s %s: %s", v.Aim, plot.SI(v.Value), v.Unit, held))
	}
	for _, p := range result.Points {
		if why := p.Missing + p.Error; why != "" {
			f.Notes = append(f.Notes, fmt.Sprintf("Not measured at %s: %s", c.format(p.X), shortened(why)))
		}
	}
	return f
}

func (p panel) plot(points []Point) plot.Panel {
	drawn := plot.Panel{Label: p.label, Aim: p.aim, AimName: p.aimName}
	for i, key := range p.keys {
		for _, series := range seriesOf(points) {
			s := plot.Series{Name: p.names[i] + series}
			for _, point := range points {
				if point.Series != series {
					continue
				}
				v, ok := point.Values[key]
				if !ok {
					v = math.NaN()
				}
				s.Points = append(s.Points, plot.Point{X: point.X, Y: v})
			}
			drawn.Series = append(drawn.Series, s)
		}
	}
	return drawn
}

// seriesOf are the runs of a curve, in the order in which they come.
func seriesOf(points []Point) (all []string) {
	for _, p := range points {
		if !slices.Contains(all, p.Series) && p.Values != nil {
			all = append(all, p.Series)
		}
	}
	return all
}

// shortened is the first line of an error, as long as a line of the figure.
func shortened(s string) string {
	const most = 130
	for i, r := range s {
		if r == '\n' || i > most {
			return s[:i] + " …"
		}
	}
	return s
}
