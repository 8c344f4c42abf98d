package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// WorkerConfig configures a Worker. The zero value of each field means its default.
type WorkerConfig struct {
	// Name for people. Default: host name and process id.
	Name string
	// Queues and the number of tasks that this worker runs at once from each. Default {"default": 8}.
	// With Slots set, the numbers are weights.
	Queues map[string]int
	// Slots is how many tasks this worker runs at once in all, from whichever of its Queues: those that have
	// waiting tasks share them by their weights. Default 0: each queue has slots of its own. At most 10,000.
	Slots int
	// Strict gives, with Slots, the queue of the highest weight that has a waiting task every slot that
	// becomes free; the others wait. Default false: they share.
	Strict bool
	// Prefetch is the most tasks of a queue that this worker holds beyond its slots there, waiting for one: only
	// while it measures that tasks take less than 5 ms, as many as it does in about 10 ms, and each for 50 ms at
	// most, then it is handed back (no attempt is counted). Default 2,048; NoPrefetch for none, and none with Slots set.
	Prefetch int
	// LeaseTTL is how long after a worker's last sign of life its tasks are given to others. Default
	// 15 s, from 1 s to 10 min. Short finds dead workers fast; long forgives pauses.
	LeaseTTL time.Duration
	// DrainTimeout is how long running tasks have when Run's context ends: at half of it their contexts
	// are cancelled, at its end they are handed back. Default 25 s.
	DrainTimeout time.Duration
	// Labels for people and dashboards.
	Labels map[string]string
	// Logger gets the worker's state changes, and is what Log gives to tasks. Default: discard.
	Logger *slog.Logger
	// TaskLog is the level from which lines of tasks (Log) are sent to the cluster, where they are kept
	// with the job. Default slog.LevelInfo; NoTaskLog sends none.
	TaskLog slog.Leveler
	// Interceptors wrap every attempt, the first one outermost.
	Interceptors []Interceptor
}

// Worker runs tasks. It keeps one stream to the leader, on which tasks, results and signs of life travel
// in common messages. When the stream or the leader is lost, running tasks run on, and a new stream takes
// the session up again.
type Worker struct {
	client *Client
	cfg    WorkerConfig
	tasks  map[string]*taskCore
	// declared: tasks that were registered without a function, and where. Some Bind must bring it.
	declared map[string]string
	errs     []error
}

// NewWorker makes a worker. Mistakes in the configuration are reported by Run, together with those of
// Register.
func NewWorker(client *Client, cfg WorkerConfig) *Worker {
	w := &Worker{client: client, tasks: map[string]*taskCore{}, declared: map[string]string{}}
	w.cfg, w.errs = cfg.withDefaults()
	return w
}

// slotsMax bounds a worker's slots, and with them what it holds beyond.
const slotsMax = 10_000

func (cfg WorkerConfig) withDefaults() (WorkerConfig, []error) {
	var errs []error
	if cfg.Name == "" {
		host, _ := os.Hostname()
		cfg.Name = host + "-" + strconv.Itoa(os.Getpid())
	}
	if len(cfg.Queues) == 0 {
		cfg.Queues = map[string]int{"default": 8}
	}
	for k, v := range cfg.Labels {
		if !utf8.ValidString(k + v) {
			errs = append(errs, fmt.Errorf("label %q=%q is not UTF-8", k, v))
		}
	}
	if !utf8.ValidString(cfg.Name) {
		errs = append(errs, fmt.Errorf("name %q is not UTF-8", cfg.Name))
	}
	for _, q := range slices.Sorted(maps.Keys(cfg.Queues)) {
		if !validName(q) {
			errs = append(errs, fmt.Errorf("queue %q: %s", q, nameRule))
		}
		if n := cfg.Queues[q]; n < 1 || n > 10_000 {
			errs = append(errs, fmt.Errorf("queue %s: %d slots (or weight, with Slots) is not between 1 and 10,000", q, n))
		}
	}
	if cfg.Slots < 0 || cfg.Slots > 10_000 {
		errs = append(errs, fmt.Errorf("Slots %d is not between 0 and 10,000", cfg.Slots))
	}
	if cfg.Strict && cfg.Slots == 0 {
		errs = append(errs, errors.New("Strict goes with Slots: the queues have slots of their own"))
	}
	if cfg.Prefetch == 0 {
		cfg.Prefetch = prefetchDefault
	}
	if cfg.Prefetch < NoPrefetch || cfg.Prefetch > slotsMax {
		errs = append(errs, fmt.Errorf("Prefetch %d is not between 1 and 10,000, nor NoPrefetch", cfg.Prefetch))
	}
	if cfg.LeaseTTL == 0 {
		cfg.LeaseTTL = 15 * time.Second
	}
	if cfg.LeaseTTL < time.Second || cfg.LeaseTTL > 10*time.Minute {
		errs = append(errs, fmt.Errorf("LeaseTTL %v is not between 1 s and 10 min", cfg.LeaseTTL))
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 25 * time.Second
	}
	if cfg.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("DrainTimeout %v is negative", cfg.DrainTimeout))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.TaskLog == nil {
		cfg.TaskLog = slog.LevelInfo
	}
	return cfg, errs
}

// Register adds what the worker can run: tasks, bound tasks, or workflows, which stand for those of their
// tasks that have functions. Call it before Run. The leader gives a worker only tasks that it has.
func (w *Worker) Register(units ...Registrable) {
	at := caller(1)
	for _, u := range units {
		cores := u.cores()
		for _, core := range cores {
			have := w.tasks[core.name]
			switch {
			case core.run == nil && len(cores) == 1:
				w.declared[core.name] = at
			case core.run == nil || have == core:
			case have != nil && have.bound != core.bound:
				if core.bound {
					w.tasks[core.name] = core
				}
			case have != nil:
				w.errs = append(w.errs, fmt.Errorf("%s: task %s is registered twice with different functions", at, core.name))
			default:
				w.tasks[core.name] = core
			}
		}
	}
}

// Run works until ctx ends, and then drains: it takes no more tasks, lets the running ones finish, at
// half of DrainTimeout cancels their contexts with cause ErrDraining, at its end hands back what is left
// (no attempt is counted) and returns nil. While no leader can be reached it goes on trying. An error means
// that it cannot work at all: a wrong configuration, or a cluster that refuses it. Run may be called once.
func (w *Worker) Run(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(w.declared)) {
		if w.tasks[name] == nil {
			w.errs = append(w.errs, fmt.Errorf("%s: task %s is declared without a function: register what its Bind returns", w.declared[name], name))
		}
	}
	if len(w.tasks) == 0 && len(w.errs) == 0 {
		w.errs = append(w.errs, errors.New("no task is registered"))
	}
	if len(w.errs) > 0 {
		return fmt.Errorf("sdk: worker %s: %w", w.cfg.Name, errors.Join(w.errs...))
	}
	if err := newSession(ctx, w).run(ctx); err != nil {
		return fmt.Errorf("sdk: worker %s: %w", w.cfg.Name, err)
	}
	return nil
}
