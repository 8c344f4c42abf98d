package output

import (
	"fmt"
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

// Dash replaces an empty cell.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
