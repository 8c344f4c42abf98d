package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// raftLogger is hclog over slog. Raft calls errors what is everyday life around an election (a peer
// that does not answer), so its levels are lowered by one: nobody should be paged by them.
type raftLogger struct {
	log  *slog.Logger
	name string
	args []any
}

func newRaftLogger(log *slog.Logger) hclog.Logger { return &raftLogger{log: log, name: "raft"} }

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelWarn
	case hclog.Warn:
		return slog.LevelInfo
	case hclog.Info:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}

func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	if to := slogLevel(level); l.log.Enabled(context.Background(), to) {
		printed := slices.Clone(args)
		for i, arg := range printed {
			if f, ok := arg.(hclog.Format); ok && len(f) > 0 {
				printed[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
			}
		}
		l.log.Log(context.Background(), to, "raft: "+msg, printed...)
	}
}

func (l *raftLogger) is(level hclog.Level) bool {
	return l.log.Enabled(context.Background(), slogLevel(level))
}

func (l *raftLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }
func (l *raftLogger) IsTrace() bool                 { return l.is(hclog.Trace) }
func (l *raftLogger) IsDebug() bool                 { return l.is(hclog.Debug) }
func (l *raftLogger) IsInfo() bool                  { return l.is(hclog.Info) }
func (l *raftLogger) IsWarn() bool                  { return l.is(hclog.Warn) }
func (l *raftLogger) IsError() bool                 { return l.is(hclog.Error) }
func (l *raftLogger) ImpliedArgs() []any            { return l.args }
func (l *raftLogger) Name() string                  { return l.name }
func (l *raftLogger) Named(string) hclog.Logger     { return l }
func (l *raftLogger) ResetNamed(string) hclog.Logger {
	return l
}
func (l *raftLogger) SetLevel(hclog.Level)  {}
func (l *raftLogger) GetLevel() hclog.Level { return hclog.Info }

func (l *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{log: l.log.With(args...), name: l.name, args: append(l.args[:len(l.args):len(l.args)], args...)}
}

func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.log.Handler(), slog.LevelInfo)
}

func (l *raftLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(nil).Writer()
}
