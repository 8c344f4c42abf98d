package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// readMax bounds one message of a client: a full SubmitJobs call, or a worker's message of reports.
const readMax = 16 << 20

// serverConfig is what the API server is given beside its host.
type serverConfig struct {
	Logger *slog.Logger // default: discard
	// Client reaches other nodes' API, for forwarding. It has to speak HTTP/2 without TLS. Default: a
	// pooled one.
	Client *http.Client
	// Version of this binary, for /livez.
	Version string
	// Now is the wall clock that webhooks are held against. Default time.Now.
	Now func() time.Time
}

// server answers the API of one node. A handler validates, translates and calls: the engine for what
// changes something, a view for what reads, the leader when this node is not it. It decides nothing.
// It has no state but caches, so that it outlives terms and machines.
type server struct {
	h      host
	cfg    serverConfig
	logger *slog.Logger
	graphs *graphCache
	peers  *peers
}

var _ apiv1connect.FanfoldHandler = (*server)(nil)

// newServer returns the handler of a node's API port: Connect, gRPC, gRPC-Web, JSON by POST, /livez
// and /readyz. Streams need HTTP/2.
func newServer(h host, cfg serverConfig) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &server{h: h, cfg: cfg, logger: cfg.Logger, graphs: newGraphCache(), peers: newPeers(cfg.Client)}
	path, handler := apiv1connect.NewFanfoldHandler(s,
		connect.WithReadMaxBytes(readMax),
		// Compressing what goes out costs 20-50 times what it saves on a local network; what comes in
		// compressed is understood.
		connect.WithCompressMinBytes(math.MaxInt32),
		connect.WithRecover(s.recovered))
	mux := http.NewServeMux()
	mux.Handle(path, s.withSizeLimit(withReadStop(handler)))
	mux.Handle("POST /hooks/{namespace}/{source...}", newReceiver(s))
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}

// livez says that the process answers. It never depends on a quorum: restarting a healthy node
// because its peers are down would make an outage longer.
func (s *server) livez(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintf(w, "ok %s\n", s.cfg.Version)
}

// readyz says whether calls to this node can succeed: it leads, or knows who does.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if _, leading := s.h.Leading(); !leading {
		if _, known := s.h.LeaderAPI(); !known {
			http.Error(w, "no leader known", http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// recovered answers a call that ended in a panic. One panic is no bug: Pebble's, when a read meets a
// state that was just closed, for a snapshot took its place or the node shuts down.
func (s *server) recovered(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
	if err, ok := p.(error); ok && errors.Is(err, pebble.ErrClosed) {
		return s.fail(err)
	}
	s.logger.Error("panic in a handler", "procedure", spec.Procedure, "panic", p, "stack", string(debug.Stack()))
	return s.fail(fmt.Errorf("panic: %v", p))
}

// method is a unary call as the generated client has it: a method expression of FanfoldClient.
type method[Q, R any] func(apiv1connect.FanfoldClient, context.Context, *connect.Request[Q]) (*connect.Response[R], error)

// onLeader answers a unary call by this node's engine if this node leads, and by the leader otherwise.
func onLeader[Q, R any](ctx context.Context, s *server, req *connect.Request[Q], there method[Q, R],
	here func(context.Context, *engine.Engine, *Q) (*R, error)) (*connect.Response[R], error) {
	eng, leading := s.h.Leading()
	if !leading {
		return forward(ctx, s, req, there)
	}
	res, err := here(ctx, eng, req.Msg)
	if errors.Is(err, engine.ErrNotLeader) { // deposed before anything was proposed
		return forward(ctx, s, req, there)
	}
	if err != nil {
		return nil, s.fail(err)
	}
	return connect.NewResponse(res), nil
}

// reading answers a unary read from a view: after a read index on the leader, or, when the caller
// asked for that, from this node's own state whatever its age.
func reading[Q any, R any](ctx context.Context, s *server, req *connect.Request[Q], stale bool, there method[Q, R],
	read func(*fsm.View, *Q) (*R, error)) (*connect.Response[R], error) {
	if stale {
		res, err := viewing(s, req.Msg, read)
		if err != nil {
			return nil, s.fail(err)
		}
		return connect.NewResponse(res), nil
	}
	return onLeader(ctx, s, req, there, func(ctx context.Context, eng *engine.Engine, q *Q) (*R, error) {
		if _, err := eng.ReadIndex(ctx); err != nil {
			return nil, err
		}
		return viewing(s, q, read)
	})
}

func viewing[Q, R any](s *server, q *Q, read func(*fsm.View, *Q) (*R, error)) (*R, error) {
	v := s.h.Machine().View()
	defer v.Close()
	return read(v, q)
}

// leading returns the engine for a stream, which only the leader serves.
func (s *server) leading() (*engine.Engine, error) {
	if eng, ok := s.h.Leading(); ok {
		return eng, nil
	}
	return nil, engine.ErrNotLeader
}

// withSizeLimit refuses a call that says it is too large before reading it, in the words of the API:
// Connect's own refusal, which still holds for what does not say its size, carries no detail.
func (s *server) withSizeLimit(next http.Handler) http.Handler {
	errors := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > readMax && errors.IsSupported(r) {
			_ = errors.Write(w, r, s.fail(tooLarge("the call has %d bytes; send up to %d, in several calls", r.ContentLength, readMax)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readStopKey holds the function that makes a stream's Receive return.
type readStopKey struct{}

// withReadStop lets a stream's handler end the receiving direction. Without it a handler whose sending
// direction is over (the term ended, say) could not return before the client sends something more.
func withReadStop(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop := func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) }
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), readStopKey{}, stop)))
	})
}

// duplex runs both directions of a stream and returns when both have ended. receive's error ends
// send's context; the end of send ends receive. receive returns nil when the client has no more to
// say, and send then goes on.
func duplex(ctx context.Context, receive, send func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	received := make(chan error, 1)
	go func() {
		err := receive(ctx)
		if err != nil {
			cancel(err)
		}
		received <- err
	}()
	sent := send(ctx)
	cancel(errSent)
	if stop, ok := ctx.Value(readStopKey{}).(func()); ok {
		stop()
	}
	if err := <-received; err != nil && !errors.Is(context.Cause(ctx), errSent) {
		return err
	}
	return sent
}

var errSent = errors.New("cluster: stream ended")
