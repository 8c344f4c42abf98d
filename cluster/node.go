package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/planted"
)

// Node is one member of a cluster: a replica of the state, Raft, the API, and, while it leads, the
// engine. Open, Run, Close; the other methods are safe from any goroutine in between.
type Node struct {
	cfg      Config
	logger   *slog.Logger
	replica  *replica
	logs     *guardedLog
	stable   *guardedStable
	watch    *watchdog
	pauses   *pauses
	api      net.Listener
	server   *http.Server
	http     *http.Client
	hashes   hashes
	closers  []func() error // in the order of opening
	instance atomic.Pointer[instance]
	leading  atomic.Pointer[engine.Engine] // of this term, when this node is ready to answer

	raftListener net.Listener // opened by Open, for the first instance
	self         raft.ServerAddress

	identityMu    sync.Mutex
	identity      identity
	named         atomic.Bool   // the state's cluster id is in node.json
	membersChange chan struct{} // held during a change of members

	met     chan struct{} // closed when it is decided whether the node founds or joins
	running atomic.Bool
	failed  atomic.Pointer[ExitError]
	stop    context.CancelCauseFunc
	stopped context.Context
	ended   chan struct{} // closed when Run has returned
	close   sync.Once
	closing error
}

var _ host = (*Node)(nil)

// Open checks the configuration and the data directory, and opens what the node needs. It starts
// nothing; it returns every problem with the configuration at once.
func Open(cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, logger: cfg.Logger.With("node", cfg.NodeID), membersChange: make(chan struct{}, 1), met: make(chan struct{}), ended: make(chan struct{})}
	n.stopped, n.stop = context.WithCancelCause(context.Background())
	n.watch = newWatchdog(cfg.StallTimeout, n.logger, n.fail)
	n.pauses = newPauses(cfg.LeaseTimeout * time.Duration(cfg.TimeoutMultiplier) / 4)
	if err := n.open(); err != nil {
		return nil, errors.Join(refuseDamaged(cfg.DataDir, err), n.closeAll())
	}
	return n, nil
}

func (n *Node) open() error {
	lock, err := lockDataDir(n.cfg.FS, n.cfg.DataDir)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, lock.Close)
	known, err := n.openIdentity()
	if err != nil {
		return err
	}
	if err := n.openListeners(); err != nil {
		return err
	}
	if err := n.openLogs(); err != nil {
		return err
	}
	if err := n.openState(); err != nil {
		return err
	}
	if index, _ := n.replica.machine().Applied(); index > 0 && !known {
		return &ExitError{Code: ExitCorruption, Reason: fmt.Sprintf("%s has a state, but %s is gone", n.cfg.DataDir, identityFile)}
	}
	if err := n.changeIdentity(func(id *identity) { id.Node = n.cfg.NodeID }); err != nil {
		return err
	}
	n.http = newHTTPClient(n.cfg)
	n.closers = append(n.closers, func() error { n.http.CloseIdleConnections(); return nil })
	n.server = newHTTPServer(newServer(n, serverConfig{Logger: n.logger, Client: n.http, Version: n.cfg.Version, Now: n.cfg.Now}))
	if n.learnClusterID(); n.failed.Load() != nil {
		return n.failed.Load()
	}
	return nil
}

func (n *Node) openIdentity() (known bool, err error) {
	n.identity, known, err = readIdentity(n.cfg.FS, n.cfg.DataDir)
	if known && n.identity.Node != n.cfg.NodeID {
		return known, fmt.Errorf("cluster: the data directory %s belongs to node %q, not to %q: start it as %q, or give this node a directory of its own",
			n.cfg.DataDir, n.identity.Node, n.cfg.NodeID, n.identity.Node)
	}
	return known, err
}

func (n *Node) openLogs() error {
	stores, err := n.cfg.OpenLogs(n.cfg.raftDir())
	if err != nil {
		return err
	}
	n.closers = append(n.closers, stores.Close)
	cache, err := raft.NewLogCache(n.cfg.LogCacheEntries, &checkedLog{stores.Log})
	if err != nil {
		return err
	}
	n.stable = &guardedStable{store: &checkedStable{stores.Stable}, watch: n.watch, fail: n.fail}
	n.logs = &guardedLog{LogStore: cache, watch: n.watch, fail: n.fail, applied: func() uint64 {
		index, _ := n.replica.machine().Applied()
		return index
	}}
	return nil
}

func (n *Node) openState() error {
	dir, err := openStateDir(n.cfg.FS, n.cfg.stateDir())
	if err != nil {
		return err
	}
	born := time.Now()
	options := fsm.Options{
		Logger: n.logger, CacheBytes: n.cfg.CacheBytes, CheckInvariants: n.cfg.CheckInvariants,
		OnFatal: n.fail, OnHash: n.hashes.add,
		Sleep: time.Sleep, Uptime: func() time.Duration { return time.Since(born) },
	}
	if n.replica, err = openReplica(dir, options, n.logger, n.watch, n.fail); err != nil {
		return damagedState(err)
	}
	n.replica.applied = n.learnClusterID
	n.closers = append(n.closers, n.replica.Close)
	return nil
}

// Run serves until ctx is done or the node is closed, and returns nil then; or until it must stop,
// and says why. It returns when everything it started has ended. It runs once.
func (n *Node) Run(ctx context.Context) error {
	if n.running.Swap(true) {
		return errors.New("cluster: Run was called twice")
	}
	defer close(n.ended)
	if planted.Bug != "" {
		n.logger.Warn("a bug is planted in this binary", "bug", planted.Bug)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.stopped, cancel)()

	// Everything that runs in a node, beside what Raft starts itself:
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
	var back errgroup.Group
	back.Go(func() error { return n.watch.Run(background) })  // ends the process when the disk hangs
	back.Go(func() error { return n.pauses.Run(background) }) // notices when the process did not run
	back.Go(func() error { return n.serveAPI(background) })   // answers; ends last, to send clients on
	front, frontCtx := errgroup.WithContext(ctx)
	front.Go(func() error { return n.replicate(frontCtx) }) // Raft, and with it the terms of leadership
	front.Go(func() error { return n.join(frontCtx) })      // asks to be taken in, until it is a member

	err := front.Wait()
	endBackground()
	err = errors.Join(err, back.Wait())
	if failed := n.failed.Load(); failed != nil {
		return failed
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// replicate runs Raft, and starts it over when the log had to be discarded.
func (n *Node) replicate(ctx context.Context) error {
	if err := n.meet(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	for {
		i, err := n.startInstance()
		if err != nil {
			return err
		}
		n.instance.Store(i)
		err = i.run(ctx)
		n.instance.Store(nil)
		if !errors.Is(err, errStartOver) || ctx.Err() != nil {
			return err
		}
	}
}

// fail ends the process: it logs why and calls Config.Exit, once. It may be called with anything
// half done, and by a goroutine that holds locks; it only reads.
func (n *Node) fail(code int, reason string) {
	failure := &ExitError{Code: code, Reason: reason}
	if !n.failed.CompareAndSwap(nil, failure) {
		return
	}
	n.logger.Error("the node stops", "code", code, "reason", reason)
	n.cfg.Exit(code)
	n.stop(failure) // only where Exit returns: in tests
}

// Close ends Run, waits for it, flushes the state and releases the data directory. It may be called
// more than once, and without Run.
func (n *Node) Close() error {
	n.stop(nil)
	if n.running.Load() {
		<-n.ended
	}
	n.close.Do(func() { n.closing = n.closeAll() })
	return n.closing
}

func (n *Node) closeAll() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	return errors.Join(errs...)
}

// Machine returns this node's copy of the state. A snapshot from the leader replaces it: do not keep
// it longer than a call.
func (n *Node) Machine() *fsm.Machine { return n.replica.machine() }

// Leading returns the engine when this node leads and its state is current.
func (n *Node) Leading() (*engine.Engine, bool) {
	e := n.leading.Load()
	return e, e != nil
}

// LeaderAPI returns where the leader answers, as far as this node knows.
func (n *Node) LeaderAPI() (address string, known bool) {
	i := n.instance.Load()
	if i == nil {
		return "", false
	}
	leader, _ := i.raft.LeaderWithID()
	_, address = splitAddress(leader)
	return address, address != ""
}
