package zones

import (
	"strings"
	"testing"
	"time"
)

// TestLoad_EveryZoneIsThere: what Load gives is what package time reads.
func TestLoad_EveryZoneIsThere(t *testing.T) {
	all, err := files()
	if err != nil || len(all) < 500 {
		t.Fatalf("%d zones: %v", len(all), err)
	}
	for name := range all {
		data, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := time.LoadLocationFromTZData(name, data); err != nil || len(data) > 16<<10 {
			t.Errorf("%s, %d bytes: %v", name, len(data), err)
		}
	}
	data, _ := Load("Europe/Berlin")
	berlin, _ := time.LoadLocationFromTZData("Europe/Berlin", data)
	if _, offset := time.Date(2040, 7, 1, 0, 0, 0, 0, berlin).Zone(); offset != 7200 {
		t.Errorf("Berlin is %d s ahead in the summer of 2040", offset)
	}
}

func TestLoad_AnUnknownNameIsNamed(t *testing.T) {
	for name, want := range map[string]string{"europe/berlin": "write Europe/Berlin", "Mars/Base": `no time zone "Mars/Base"`, "../etc/passwd": "no time zone", "Europe/": "no time zone", "": "no time zone"} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
