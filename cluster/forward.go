package cluster

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// forwardedHeader marks a call that a follower has passed on. It is passed on once: two nodes that
// each take the other for the leader must not play ball with a call.
const forwardedHeader = "X-Fanfold-Forwarded"

// peers are clients of the other nodes' APIs, one for each address, over one pool of connections.
type peers struct {
	http *http.Client

	mu      sync.Mutex // guards clients
	clients map[string]apiv1connect.FanfoldClient
}

// peersMax bounds the table: addresses of nodes that are gone are forgotten with all others.
const peersMax = 64

func newPeers(client *http.Client) *peers {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Protocols:   unencryptedHTTP2(),
			DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			HTTP2:       &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
		}}
	}
	return &peers{http: client, clients: map[string]apiv1connect.FanfoldClient{}}
}

func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func (p *peers) client(address string) apiv1connect.FanfoldClient {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[address]
	if !ok {
		if len(p.clients) >= peersMax {
			clear(p.clients)
		}
		c = apiv1connect.NewFanfoldClient(p.http, "http://"+address, connect.WithReadMaxBytes(readMax))
		p.clients[address] = c
	}
	return c
}

// forward passes a unary call on to the leader, unless it has been passed on before.
func forward[Q, R any](ctx context.Context, s *server, req *connect.Request[Q], there method[Q, R]) (*connect.Response[R], error) {
	leader, known := s.h.LeaderAPI()
	if !known || req.Header().Get(forwardedHeader) != "" {
		return nil, wireError(s.notLeader())
	}
	out := connect.NewRequest(req.Msg)
	out.Header().Set(forwardedHeader, "1")
	res, err := there(s.peers.client(leader), ctx, out)
	if err != nil {
		return nil, s.forwardFailed(ctx, leader, err)
	}
	return connect.NewResponse(res.Msg), nil
}

// forwardFailed passes the leader's own error on as it is. A connection that could not be made means
// that the leader never saw the call; one that broke, that nobody knows.
func (s *server) forwardFailed(ctx context.Context, leader string, err error) error {
	var wire *connect.Error
	if errors.As(err, &wire) && connect.IsWireError(wire) {
		out := connect.NewError(wire.Code(), errors.New(wire.Message()))
		for _, d := range wire.Details() {
			out.AddDetail(d)
		}
		return out
	}
	if ctx.Err() != nil {
		return s.fail(ctx.Err())
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return wireError(&apiv1.ErrorInfo{Code: codeNoLeader, RetryAfterMs: noLeaderRetryMS,
			Message: "the leader at " + leader + " cannot be reached; try again"})
	}
	return wireError(&apiv1.ErrorInfo{Code: codeOutcomeUnknown,
		Message: "the connection to the leader at " + leader + " broke; the call may have taken effect: repeat it, which is safe"})
}
