package sdk_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

// counted counts the writes of a connection.
type counted struct {
	net.Conn
	writes atomic.Int64
	http1  atomic.Bool
}

func (c *counted) Write(p []byte) (int, error) {
	if c.writes.Add(1) == 1 {
		c.http1.Store(bytes.HasPrefix(p, []byte("POST ")))
	}
	return c.Conn.Write(p)
}

// TestTransport_ASubmissionIsOnePacketOfHTTP1: on few connections of their own, that stay open; all other calls share one by HTTP/2.
func TestTransport_ASubmissionIsOnePacketOfHTTP1(t *testing.T) {
	n := pipenet.New()
	var mu sync.Mutex
	protocols := map[string]map[string]int{"SubmitJobs": {}, "RetryJob": {}} // method -> protocol -> calls
	serveSeen(t, n, "a:1", &scripted{
		submit: func(_ context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) { return accept(jobs), nil },
		call:   func(string, any) (any, error) { return &apiv1.RetryJobResponse{}, nil },
	}, func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if p := protocols[path.Base(r.URL.Path)]; p != nil {
			p[r.Proto]++
		}
	})

	var conns []*counted
	// used leaves out what was dialed in vain: a submission takes whichever comes first, a new connection or one that becomes free.
	used := func() (http1, http2 []*counted) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			switch {
			case c.http1.Load():
				http1 = append(http1, c)
			case c.writes.Load() > 0:
				http2 = append(http2, c)
			}
		}
		return http1, http2
	}
	dialer := n.Dialer("client")
	c, err := sdk.NewClient(sdk.ClientConfig{Addresses: []string{"a:1"}, Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer(ctx, network, address)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		own := &counted{Conn: conn}
		conns = append(conns, own)
		return own, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	for range 20 {
		if _, err := tInc.Submit(t.Context(), c, 1); err != nil {
			t.Fatal(err)
		}
	}
	if own, _ := used(); len(own) != 1 || own[0].writes.Load() != 20 {
		t.Errorf("20 submissions, one after another: connections %v, want one with 20 writes", own)
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				if _, err := tInc.Submit(t.Context(), c, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := tInc.Attach(c, sdk.NewJobID()).Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if own, shared := used(); len(own) > 4 || len(shared) != 1 {
		t.Errorf("64 callers: %d connections for submissions and %d for all else, want at most 4 and 1", len(own), len(shared))
	}
	mu.Lock()
	defer mu.Unlock()
	for method, want := range map[string]string{"SubmitJobs": "HTTP/1.1", "RetryJob": "HTTP/2.0"} {
		if p := protocols[method]; len(p) != 1 || p[want] == 0 {
			t.Errorf("%s: %v, want %s alone", method, p, want)
		}
	}
}

// TestTransport_ASilentNodeIsLeft: nobody pings the connection of a submission, so the bound of a try has to end it.
func TestTransport_ASilentNodeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		for _, name := range []string{"a", "b"} {
			serve(t, n, name+":1", &scripted{leader: name + ":1", submit: func(ctx context.Context, jobs []*apiv1.Job) ([]*apiv1.SubmitResult, error) {
				return accept(jobs), nil
			}})
		}
		c := dial(t, n, "a:1", "b:1")
		if _, err := tInc.Submit(t.Context(), c, 1); err != nil {
			t.Fatal(err)
		}
		n.Cut("client", "a")
		start := time.Now()
		if _, err := tInc.Submit(t.Context(), c, 2); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("the silent node was left after %v, want 5 s, and 3 s at most to see that it answers nothing else", took)
		}
	})
}
