package output

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Age is how long ago a unix time in milliseconds was, short; "-" for none.
func Age(ms int64, now time.Time) string {
	if ms == 0 {
		return "-"
	}
	return Duration(now.Sub(time.UnixMilli(ms)))
}

// Duration is a span in at most two units.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// Bytes is a size in decimal units.
func Bytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[prefix])
}

// ParseBytes reads a size: a number of bytes, or with a decimal unit as Bytes writes it.
func ParseBytes(text string) (uint64, error) {
	scale := 1.0
	for i, prefix := range []string{"k", "M", "G", "T"} {
		if number, ok := strings.CutSuffix(text, prefix+"B"); ok {
			text, scale = strings.TrimSpace(number), math.Pow10(3*(i+1))
		}
	}
	if scale == 1 {
		return strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(text, "B")), 10, 64)
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n*scale > 1e18 {
		return 0, fmt.Errorf("%q is not a size, as in 100MB", text)
	}
	return uint64(n * scale), nil
}

// Dash replaces an empty cell.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
