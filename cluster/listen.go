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
	return tcpTransport(listener, n.self, n.ClusterID, newRaftLogger(n.logger)), nil
}

func newHTTPServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: handler, Protocols: protocols, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
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
