// Package remote is the command line's client of the API: it tries the nodes it was given in turn,
// follows the leader, waits out an election, and turns every error into an exit code with a next
// step. Programs use the sdk package instead.
package remote

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	// patience is how long a call goes on trying while no node can answer: longer than an
	// election, shorter than a person's.
	patience = 5 * time.Second
	pause    = 50 * time.Millisecond
	// maxMessage bounds what is read of one answer.
	maxMessage = 64 << 20
)

// Client calls one of several nodes. It is safe for concurrent use.
type Client struct {
	addresses []string
	http      *http.Client
}

// Addresses splits the value of --address: node addresses with commas between.
func Addresses(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// New makes a client of the nodes with the given API addresses (host:port). It does not connect.
func New(addresses []string) *Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &Client{addresses: addresses, http: &http.Client{Transport: &http.Transport{Protocols: protocols}}}
}

// At is the raw API of one node, without any retry.
func (c *Client) At(address string) apiv1connect.FanfoldClient {
	return apiv1connect.NewFanfoldClient(c.http, "http://"+address,
		connect.WithReadMaxBytes(maxMessage),
		connect.WithAcceptCompression("gzip", nil, nil)) // asked for gzip, the leader would spend its time on it
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Method is a unary method of the API, written as a method expression.
type Method[Req, Res any] func(apiv1connect.FanfoldClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error)

// Call makes a unary call. It goes on to the next node when one cannot be reached, to the leader when
// told where it is, and tries again for a few seconds while there is none. Only calls that are safe to
// repeat may be made this way; all of the API's are, given ids chosen by the caller.
func Call[Req, Res any](ctx context.Context, c *Client, method Method[Req, Res], request *Req) (*Res, error) {
	var answer *Res
	err := c.each(ctx, func(address string) error {
		response, err := method(c.At(address), ctx, connect.NewRequest(request))
		if err == nil {
			answer = response.Msg
		}
		return err
	})
	return answer, err
}

// each calls do with one address after another until it succeeds, fails for good, or patience ends. When
// none of the nodes can be reached at all it gives up at once: there is no election to wait for.
func (c *Client) each(ctx context.Context, do func(address string) error) error {
	deadline := time.Now().Add(patience)
	next, leader, reached := 0, "", false
	for {
		address := leader
		if address == "" {
			address = c.addresses[next%len(c.addresses)]
			next++
		}
		err := do(address)
		if err == nil || !transient(err) || ctx.Err() != nil {
			return c.explain(ctx, err)
		}
		info := Info(err)
		reached = reached || info != nil
		if to := info.GetLeader(); to != "" && leader == "" {
			leader = to
			continue
		}
		leader = ""
		if next%len(c.addresses) != 0 {
			continue
		}
		if !reached || time.Now().After(deadline) {
			return c.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// Stream reads a server stream to its end, giving each message to take. When the stream breaks for a
// passing reason it is opened again; open must then ask for what is still missing.
func Stream[Res any](ctx context.Context, c *Client, open func(apiv1connect.FanfoldClient) (*connect.ServerStreamForClient[Res], error), take func(*Res) error) error {
	return c.each(ctx, func(address string) error {
		stream, err := open(c.At(address))
		if err != nil {
			return err
		}
		defer stream.Close()
		for stream.Receive() {
			if err := take(stream.Msg()); err != nil {
				return err
			}
		}
		return stream.Err()
	})
}

// Info returns the ErrorInfo that an error of the API carries, or nil.
func Info(err error) *apiv1.ErrorInfo {
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return nil
	}
	for _, detail := range failed.Details() {
		if value, err := detail.Value(); err == nil {
			if info, ok := value.(*apiv1.ErrorInfo); ok {
				return info
			}
		}
	}
	return nil
}
