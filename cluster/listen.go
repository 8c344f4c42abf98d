package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/raft"
)

// openListeners opens both ports, so that one that is taken is noticed before anything starts. A
// founding peer listens where its entry in the list says, unless told otherwise.
func (n *Node) openListeners() (err error) {
	c := &n.cfg
	if p, ok := c.peer(); ok {
		c.RaftAdvertise, c.APIAdvertise = cmp.Or(c.RaftAdvertise, p.RaftAddress), cmp.Or(c.APIAdvertise, p.APIAddress)
	}
	if n.api = c.APIListener; n.api == nil {
		if n.api, err = net.Listen("tcp", c.APIAddress); err != nil {
			return fmt.Errorf("cluster: the API cannot listen: %w; choose another address", err)
		}
	}
	n.closers = append(n.closers, func() error { return ignoreClosed(n.api.Close()) })
	if c.APIAdvertise, err = advertised(c.APIAdvertise, n.api.Addr()); err != nil {
		return fmt.Errorf("cluster: API: %w", err)
	}
	if c.RaftTransport != nil {
		return nil
	}
	if n.raftListener, err = net.Listen("tcp", c.RaftAddress); err != nil {
		return fmt.Errorf("cluster: Raft cannot listen: %w; choose another address", err)
	}
	first := n.raftListener
	n.closers = append(n.closers, func() error { return ignoreClosed(first.Close()) })
	c.RaftAddress = n.raftListener.Addr().String() // where later instances listen again
	if c.RaftAdvertise, err = advertised(c.RaftAdvertise, n.raftListener.Addr()); err != nil {
		return fmt.Errorf("cluster: Raft: %w", err)
	}
	n.self = ServerAddress(c.RaftAdvertise, c.APIAdvertise)
	for _, address := range []net.Addr{n.api.Addr(), n.raftListener.Addr()} {
		if tcp, ok := address.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			n.logger.Warn("nothing is encrypted or authenticated yet: whoever reaches this address owns the cluster", "address", address.String())
		}
	}
	return nil
}

// advertised is the address that others dial. A listener on all interfaces has none of its own.
func advertised(address string, listening net.Addr) (string, error) {
	if address != "" {
		return address, nil
	}
	if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return "", fmt.Errorf("the listener on %s accepts on all interfaces; say which address others reach it by (advertise)", listening)
	}
	return listening.String(), nil
}

// openTransport makes the transport of the next Raft instance.
func (n *Node) openTransport() (raft.Transport, error) {
	if n.cfg.RaftTransport != nil {
		return n.cfg.RaftTransport()
	}
	listener := n.raftListener
	n.raftListener = nil
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", n.cfg.RaftAddress); err != nil {
			return nil, fmt.Errorf("cluster: Raft cannot listen: %w", err)
		}
	}
	return tcpTransport(listener, n.cfg.DialRaft, n.self, n.ClusterID, newRaftLogger(n.logger)), nil
}

func newHTTPServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: protocols, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			// A client whose machine vanished does not keep its streams for ever.
			SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second,
		},
	}
}

// newHTTPClient calls other nodes: HTTP/2 without encryption, over DialAPI. A call to a node that is
// frozen ends.
func newHTTPClient(cfg Config) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{
		Protocols:       protocols,
		DialContext:     func(ctx context.Context, _, address string) (net.Conn, error) { return cfg.DialAPI(ctx, address) },
		IdleConnTimeout: time.Minute,
		HTTP2:           &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}}
}

// serveAPI serves until ctx is done; then calls under way get a moment to end. A listener that fails
// ends the node.
func (n *Node) serveAPI(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- n.server.Serve(n.api) }()
	select {
	case err := <-failed:
		err = fmt.Errorf("cluster: the API cannot be served: %w", err)
		n.stop(err)
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if n.server.Shutdown(grace) != nil {
		_ = n.server.Close() // what still runs is a stream whose client does not read
	}
	<-failed
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
