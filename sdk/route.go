package sdk

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// route knows which node to talk to: the leader where it is known, otherwise one of the configured
// nodes in turn. Any node answers a unary call by passing it on, so a wrong guess costs a hop; only
// streams must reach the leader itself.
type route struct {
	urls []string // configured
	stub func(base string) apiv1connect.FanfoldClient

	mu     sync.Mutex // guards what follows
	stubs  map[string]apiv1connect.FanfoldClient
	leader string // base URL; "" = not known
	next   int    // position in urls
	// banned: a leader's address that was named and could not be reached from here, such as an address
	// of another network, until a time. The nodes that we were given are never banned.
	banned map[string]time.Time
	// asking is closed when the search for the leader that is on its way is over.
	asking chan struct{}
}

const (
	askTimeout = 2 * time.Second  // for one node's answer about who leads
	banTime    = 10 * time.Second // of an address that does not answer
)

func newRoute(urls []string, stub func(string) apiv1connect.FanfoldClient) *route {
	// Start anywhere, so that many clients do not all begin at the first address.
	return &route{
		urls: urls, stub: stub, next: rand.IntN(len(urls)),
		stubs: map[string]apiv1connect.FanfoldClient{}, banned: map[string]time.Time{},
	}
}

// pick returns the node for the next call, looking for the leader first when it is not known. Callers
// that come meanwhile wait for the one search.
func (r *route) pick(ctx context.Context) (string, apiv1connect.FanfoldClient) {
	for {
		r.mu.Lock()
		if r.leader != "" {
			defer r.mu.Unlock()
			return r.leader, r.of(r.leader)
		}
		if r.asking == nil {
			r.asking = make(chan struct{})
			r.mu.Unlock()
			return r.search(ctx)
		}
		asking := r.asking
		r.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			return r.current()
		}
	}
}

// current is the node to use without knowing better.
func (r *route) current() (string, apiv1connect.FanfoldClient) {
	r.mu.Lock()
	defer r.mu.Unlock()
	base := r.urls[r.next]
	if r.leader != "" {
		base = r.leader
	}
	return base, r.of(base)
}

// search asks each configured node once who leads. Without an answer, a configured node is used as it
// is: it may be able to pass the call on.
func (r *route) search(ctx context.Context) (string, apiv1connect.FanfoldClient) {
	defer func() {
		r.mu.Lock()
		close(r.asking)
		r.asking = nil
		r.mu.Unlock()
	}()
	alive := ""
	for range r.urls {
		r.mu.Lock()
		base := r.urls[r.next]
		api := r.of(base)
		r.mu.Unlock()
		address, err := askLeader(ctx, api)
		switch {
		case err == nil && address != "":
			r.learn(address)
			return r.current()
		case err == nil:
			alive = base
		}
		if ctx.Err() != nil {
			break
		}
		r.mu.Lock()
		r.next = (r.next + 1) % len(r.urls)
		r.mu.Unlock()
	}
	if alive != "" {
		r.mu.Lock()
		r.next = slices.Index(r.urls, alive)
		r.mu.Unlock()
	}
	return r.current()
}

func askLeader(ctx context.Context, api apiv1connect.FanfoldClient) (address string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	res, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return "", err
	}
	return res.Msg.LeaderAddress, nil
}

// of returns the stub of a node. Precondition: mu is held.
func (r *route) of(base string) apiv1connect.FanfoldClient {
	api := r.stubs[base]
	if api == nil {
		api = r.stub(base)
		r.stubs[base] = api
	}
	return api
}

// learn takes a node's word for who leads, and reports whether that is news.
func (r *route) learn(address string) bool {
	base, err := baseURL(address)
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if until, bad := r.banned[base]; bad {
		if time.Now().Before(until) {
			return false
		}
		delete(r.banned, base)
	}
	news := r.leader != base
	r.leader = base
	return news
}

// forget says that base did not lead, or (unreachable) did not answer.
func (r *route) forget(base string, unreachable bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leader == base {
		r.leader = ""
	}
	i := slices.Index(r.urls, base)
	if unreachable && i < 0 {
		r.banned[base] = time.Now().Add(banTime)
	}
	if i == r.next {
		r.next = (r.next + 1) % len(r.urls)
	}
}
