package cli

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"encoding/json"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// vitalsEvery is how often a node writes down how it is.
const vitalsEvery = 500 * time.Millisecond

// writeVitals appends how this process is to a file until ctx ends, and at last once more, with the stacks of all
// goroutines in a file beside.
func writeVitals(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(vitalsEvery)
	go func() {
		defer f.Close()
		defer ticker.Stop()
		for {
			line, _ := json.Marshal(vitals())
			if _, err := f.Write(append(line, '\n')); err != nil {
				return // the disk is full: what is missing is not judged
			}
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
			}
			line, _ = json.Marshal(vitals())
			var stacks bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			_, _ = f.Write(append(line, '\n'))
			_ = os.WriteFile(path+".goroutines", stacks.Bytes(), 0o644)
			return
		}
	}()
	return nil
}

func vitals() evidence.Vitals {
	v := evidence.Vitals{PID: os.Getpid(), UnixMS: time.Now().UnixMilli(), Goroutines: runtime.NumGoroutine()}
	all, err := os.ReadDir("/proc/self/fd") // where there is no such thing, files and sockets are not counted
	if err != nil {
		return v
	}
	for _, fd := range all {
		switch to, err := os.Readlink("/proc/self/fd/" + fd.Name()); {
		case err != nil:
		case strings.HasPrefix(to, "socket:"):
			v.Sockets++
		default:
			v.Files++
		}
	}
	return v
}
