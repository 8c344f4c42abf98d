package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// ClientConfig configures a Client. The zero value of each field means its default.
type ClientConfig struct {
	// Addresses of one or more nodes, as host:port or http://host:port. One is enough to find the
	// leader; all are better when that one is down. Default 127.0.0.1:7400.
	Addresses []string
	// Namespace of all jobs and workers of this client. Default "default".
	Namespace string
	// Dialer opens connections. Default net.Dialer. Tests give one that needs no ports.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// HTTPClient takes the place of the client's own, which submits by HTTP/1.1 and speaks HTTP/2 for all else; then Dialer
	// is not used. It must speak HTTP/2 to the addresses, without encryption for http://.
	HTTPClient *http.Client
	// Codec encodes inputs, results and checkpoints on their way to the cluster, and decodes them. All
	// programs that share jobs need the same. Default: none, values are stored as JSON.
	Codec Codec
	// OnSubmit wraps every submission of this client, the first one outermost.
	OnSubmit []SubmitInterceptor
	// Interceptors wrap every call and stream to a node, the first one outermost: for credentials, traces
	// and metrics. A call that is tried again passes them again.
	Interceptors []connect.Interceptor
	// Logger gets reconnects and retries at debug, and what needs a person at warn. Default: discard.
	Logger *slog.Logger
}

// defaultTimeout bounds a call whose context has no deadline.
const defaultTimeout = 30 * time.Second

// Client talks to a cluster. It finds the leader from any address and follows it, retries within the
// caller's deadline (30 s when there is none) and never for ever, and sends what is asked concurrently
// in common messages. All methods are safe for concurrent use. One client per process is enough.
type Client struct {
	cfg     ClientConfig
	http    *http.Client
	own     bool // http is ours to close
	log     *slog.Logger
	route   *route
	submits *submitter
	awaits  *awaiter
	life    context.Context // ends with Close
	end     context.CancelCauseFunc
}

// NewClient checks the configuration. It opens no connection and starts nothing; the first call does.
func NewClient(cfg ClientConfig) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		cfg.Addresses = []string{"127.0.0.1:7400"}
	}
	if cfg.Namespace == "" {
		cfg.Namespace = "default"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if !validName(cfg.Namespace) {
		errs = append(errs, fmt.Errorf("Namespace %q: %s", cfg.Namespace, nameRule))
	}
	urls := make([]string, len(cfg.Addresses))
	for i, a := range cfg.Addresses {
		u, err := baseURL(a)
		if err != nil {
			errs = append(errs, err)
		}
		urls[i] = u
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("sdk: client configuration: %w", errors.Join(errs...))
	}
	c := &Client{cfg: cfg, http: cfg.HTTPClient, log: cfg.Logger}
	if c.http == nil {
		c.http, c.own = newHTTPClient(cfg.Dialer), true
	}
	c.life, c.end = context.WithCancelCause(context.Background())
	c.route = newRoute(urls, c.api)
	c.submits = &submitter{client: c}
	c.awaits = &awaiter{client: c, waiting: map[string][]*waiter{}}
	return c, nil
}

// Close ends all calls in flight with ErrClosed and closes the connections. Jobs are not affected.
func (c *Client) Close() error {
	c.end(ErrClosed)
	if c.own {
		c.http.CloseIdleConnections()
	}
	return nil
}

// maxMessage bounds what the client reads as one message: an attack or a mistake, not a value.
const maxMessage = 32 << 20

// api is a stub for one node.
func (c *Client) api(base string) apiv1connect.FanfoldClient {
	return apiv1connect.NewFanfoldClient(c.http, base,
		connect.WithReadMaxBytes(maxMessage),
		// Without this, Connect asks for gzip, and the leader spends its time on it.
		connect.WithAcceptCompression("gzip", nil, nil),
		connect.WithInterceptors(c.cfg.Interceptors...),
	)
}

// baseURL makes http://host:port of an address.
func baseURL(address string) (string, error) {
	raw := address
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", address, err)
	}
	if u.Host == "" || u.Port() == "" || u.Path != "" && u.Path != "/" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("address %q is not host:port or http://host:port", address)
	}
	return u.Scheme + "://" + u.Host, nil
}
