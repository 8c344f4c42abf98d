package sdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// transport has a kind of connection for each kind of call. Streams, and calls of which any number may be on their
// way at a time, share one connection to a node by HTTP/2. Submissions, at most maxFlights at a time and the most
// frequent of all, each have one for themselves, which stays open: HTTP/1.1 hands a message over between half as many
// goroutines, on both sides, and needs half of the processor time (docs/decisions/0025-submissions-by-http-1.md).
type transport struct {
	shared, submissions *http.Transport
}

// newHTTPClient speaks HTTP without encryption to http:// addresses.
func newHTTPClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	return &http.Client{Transport: &transport{shared: newShared(dial), submissions: newOwn(dial)}}
}

// newShared speaks HTTP/2 from the first byte. A peer that is silent is pinged: a partition must not hold a stream until TCP
// gives up, which takes minutes.
func newShared(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext: dial,
		Protocols:   protocols,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:               2 * time.Second,
			PingTimeout:                   3 * time.Second,
			MaxReceiveBufferPerStream:     4<<20 - 1,
			MaxReceiveBufferPerConnection: 4<<20 - 1,
		},
		DisableCompression: true,
		IdleConnTimeout:    90 * time.Second,
	}
}

// newOwn speaks HTTP/1.1. A peer that is silent is noticed by the bound of each try, as soon as by a ping.
func newOwn(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:         dial,
		Protocols:           protocols,
		WriteBufferSize:     64 << 10, // a message of a hundred jobs is one write
		ReadBufferSize:      16 << 10,
		MaxIdleConnsPerHost: maxFlights,
		DisableCompression:  true,
		IdleConnTimeout:     90 * time.Second, // before the node closes it, after two minutes
	}
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, apiv1connect.FanfoldSubmitJobsProcedure) {
		return t.submit(r)
	}
	return t.shared.RoundTrip(r)
}

// submit gives the transport a body that it knows to be in memory. Of any other it sends the header by itself first, which is a
// second packet that wakes the node, and copies the body through a buffer of its own.
func (t *transport) submit(r *http.Request) (*http.Response, error) {
	if r.ContentLength > 0 {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		own := *r // not ours to change
		own.Body, own.GetBody = io.NopCloser(bytes.NewReader(body)), nil
		r = &own
	}
	return t.submissions.RoundTrip(r)
}

// CloseIdleConnections is what http.Client asks for.
func (t *transport) CloseIdleConnections() {
	t.shared.CloseIdleConnections()
	t.submissions.CloseIdleConnections()
}
