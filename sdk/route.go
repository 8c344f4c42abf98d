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
	askTimeout  = 2 * time.Second        // for the nodes' answers about who leads
	hearsayTime = 100 * time.Millisecond // for a leader to come forward, once another has named one
	banTime     = 10 * time.Second       // of an address that cannot be reached
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

// search asks all configured nodes at once who leads. One that leads itself is believed at once; what
// another says may be about a leader that has just died, and is used only when none comes forward. Without
// an answer, a configured node is used as it is: it may be able to pass the call on.
func (r *route) search(ctx context.Context) (string, apiv1connect.FanfoldClient) {
	defer r.searched()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers := make(chan opinion, len(r.urls))
	for i, base := range r.urls {
		r.mu.Lock()
		api := r.of(base)
		r.mu.Unlock()
		go func() { answers <- ask(ctx, api, i) }()
	}
	hearsay := ""
	for range r.urls {
		o := <-answers
		if o.alive {
			r.mu.Lock()
			r.next = o.url
			r.mu.Unlock()
		}
		if o.leads && r.learn(o.leader) {
			return r.current()
		}
		if o.leader != "" && hearsay == "" {
			hearsay = o.leader
			time.AfterFunc(hearsayTime, cancel) // for those who hang
		}
	}
	if hearsay != "" {
		r.learn(hearsay)
	}
	return r.current()
}

func (r *route) searched() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.asking)
	r.asking = nil
}

// opinion is one node's answer about who leads.
type opinion struct {
	url    int // position in urls
	alive  bool
	leads  bool   // itself
	leader string // address, "" where it knows none
}

func ask(ctx context.Context, api apiv1connect.FanfoldClient, url int) opinion {
	res, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil {
		return opinion{url: url}
	}
	m := res.Msg
	return opinion{url: url, alive: true, leader: m.LeaderAddress, leads: m.LeaderAddress != "" && m.NodeId == m.LeaderId}
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

// learn takes a node's word for who leads, and reports whether that is news: not what was believed
// before, and not an address that could not be reached.
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
