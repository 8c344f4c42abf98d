//go:build chaos

package inject

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
)

func init() { inside.Built = true }

// Faults are the faults of one node. Its methods are safe for concurrent use.
type Faults struct {
	mu     sync.Mutex
	order  inside.Order
	since  time.Time     // when it was given
	lifted chan struct{} // closed when another order takes its place

	slowed, hung, failed, refused, misread, dropped atomic.Int64
}

// New makes the faults of a node, with the order that is in force from its start.
func New(first inside.Order) *Faults {
	return &Faults{order: first, since: time.Now(), lifted: make(chan struct{})}
}

// Install puts the faults around the edges of a node. APIAddress has to be set. ownLogs opens logs in files of their
// own on a file system; nil: OpenLogs opens logs of another kind.
func (f *Faults) Install(c *cluster.Config, ownLogs func(vfs.FS) func(dir string) (cluster.LogStores, error)) error {
	listener, err := net.Listen("tcp", c.APIAddress)
	if err != nil {
		return err
	}
	c.APIListener = f.Listener(listener)
	c.FS = f.FS(c.FS)
	if ownLogs != nil {
		c.OpenLogs = f.Votes(ownLogs(f.LogFS()))
	} else {
		c.OpenLogs = f.Logs(c.OpenLogs)
	}
	c.Now = f.Clock(c.Now)
	return nil
}

// Give replaces the order.
func (f *Faults) Give(o inside.Order) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.lifted)
	f.order, f.since, f.lifted = o, time.Now(), make(chan struct{})
}

func (f *Faults) current() (o inside.Order, since time.Time, lifted <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.order, f.since, f.lifted
}

// Effects are what has happened so far.
func (f *Faults) Effects() inside.Effects {
	return inside.Effects{
		Slowed: f.slowed.Load(), Hung: f.hung.Load(), Failed: f.failed.Load(),
		Refused: f.refused.Load(), Misread: f.misread.Load(), Dropped: f.dropped.Load(),
	}
}

// Serve takes orders at address, which is on this machine, until ctx ends.
func (f *Faults) Serve(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(f.handle), ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (f *Faults) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != inside.Path {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodPost {
		var o inside.Order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.Give(o)
	}
	_ = json.NewEncoder(w).Encode(f.Effects())
}
