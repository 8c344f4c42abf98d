package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticksPerSecond is the unit of /proc/PID/stat: 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// readable reports whether this system has the files that cpuOf and rssOf read.
func readable() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

// cpuOf is the processor time that a process has used, in seconds; 0 when it cannot be read.
func cpuOf(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything: fields are counted from its end. utime and stime are
	// fields 14 and 15 of all, 12 and 13 after the name.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	return (user + system) / ticksPerSecond
}

// rssOf reads a resident size of a process in bytes: VmRSS (now), RssAnon (now, without
// pages of mapped files) or VmHWM (the largest so far);
// -1 when it cannot be read.
func rssOf(pid int, field string) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return -1
			}
			return kilobytes << 10
		}
	}
	return -1
}
