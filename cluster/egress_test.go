package cluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/cluster/webhook"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func githubSum(secret, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// hookSink is a real HTTP server on a network in memory, which all nodes reach as hook.example.
type hookSink struct {
	t      *testing.T
	key    []byte
	listen *pipeListener
	server *http.Server

	mu     sync.Mutex
	got    map[string]int // attempts by delivery id
	jobs   map[string]string
	bodies map[string]string
	times  []time.Time
	answer func(n int, w http.ResponseWriter, r *http.Request) // n: attempts of this delivery so far, this one included
}

func newSink(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *hookSink {
	s := &hookSink{t: t, key: []byte("a key of some length"), listen: newPipeListener("sink"), got: map[string]int{}, jobs: map[string]string{}, bodies: map[string]string{}, answer: answer}
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve)}
	go func() { _ = s.server.Serve(s.listen) }()
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

func (s *hookSink) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m, err := webhook.Verify(webhook.Standard, r.Header, body, [][]byte{s.key}, time.Now(), time.Minute)
	if err != nil {
		s.t.Errorf("the receiver cannot verify: %v", err)
	}
	s.mu.Lock()
	s.got[m.ID]++
	if old, ok := s.bodies[m.ID]; ok && old != string(body) {
		s.t.Errorf("delivery %s had the body %s and has %s", m.ID, old, body)
	}
	s.bodies[m.ID] = string(body)
	if _, rest, ok := strings.Cut(string(body), `"job":"`); ok {
		s.jobs[rest[:26]] = m.ID
	}
	n := s.got[m.ID]
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	s.answer(n, w, r)
}

// all are the times of all attempts.
func (s *hookSink) all() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.times)
}

func (s *hookSink) config(c *Config) {
	c.WebhookResolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
	}
	c.WebhookDial = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.listen.dial(ctx) }
}

func (s *hookSink) set(n *testNode, parallel uint32) {
	s.t.Helper()
	e, _ := n.Leading()
	if _, _, err := e.SetWebhook(s.t.Context(), &fsmpb.SetWebhook{
		Name:     &fsmpb.WebhookName{Namespace: "default", Kind: &fsmpb.WebhookName_Endpoint{Endpoint: "sink"}},
		Endpoint: &fsmpb.WebhookEndpoint{Url: "http://hook.example/in", Parallel: parallel}, Secrets: [][]byte{s.key},
	}); err != nil {
		s.t.Fatal(err)
	}
}

func (w *world) test(n *testNode) string {
	w.t.Helper()
	e, _ := n.Leading()
	ref, _, err := e.ChangeWebhook(w.ctx, &fsmpb.ChangeWebhook{
		Name:   &fsmpb.WebhookName{Namespace: "default", Kind: &fsmpb.WebhookName_Endpoint{Endpoint: "sink"}},
		Change: fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST})
	if err != nil {
		w.t.Fatal(err)
	}
	return fsm.DeliveryID(n.ClusterID(), ref)
}

func (w *world) delivery(n *testNode, id string) *fsm.DeliveryView {
	w.t.Helper()
	ref, ok := fsm.ParseDeliveryID(id)
	if !ok {
		w.t.Fatalf("%q is no delivery id", id)
	}
	v := n.Machine().View()
	defer v.Close()
	d, err := v.Delivery("default", "sink", ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// TestEgress_BacksOffAndHearsTheReceiver: backoff, Retry-After and 410, in virtual time. (That three days are the end of it is
// fsm.TestReportDelivery_IsTriedForThreeDaysAndThenGivenUp.)
func TestEgress_BacksOffAndHearsTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex // guards status and after
		status, after := 500, ""
		answers := func(s int, a string) {
			mu.Lock()
			defer mu.Unlock()
			status, after = s, a
		}
		s := newSink(t, func(n int, rw http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if after != "" {
				rw.Header().Set("Retry-After", after)
			}
			rw.WriteHeader(status)
		})
		w.start("n1", s.config)
		n := w.leader("n1")
		s.set(n, 0)

		begin := time.Now()
		id := w.test(n)
		w.untilIn(3*time.Hour, "four attempts have failed", func() bool { return w.delivery(n, id).Attempts == 4 })
		times := s.all()
		for i, want := range []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute} {
			got := times[i].Sub(begin)
			if begin = times[i]; got < want*9/10 || got > want*11/10+time.Second {
				t.Errorf("attempt %d came after %v, not %v", i+1, got, want)
			}
		}

		answers(429, "7200")
		s.mu.Lock()
		s.times = nil
		s.mu.Unlock()
		id = w.test(n)
		other := w.test(n) // goes to an endpoint that asked for quiet, unless it left before that
		time.Sleep(time.Minute)
		answers(204, "")
		w.untilIn(4*time.Hour, "it is delivered after the quiet", func() bool {
			return w.delivery(n, id).State == fsm.DeliveryDelivered && w.delivery(n, other).State == fsm.DeliveryDelivered
		})
		times = s.all()
		if quiet := times[len(times)-1].Sub(times[0]); quiet < 2*time.Hour {
			t.Errorf("it was sent again after %v; the receiver had asked for two hours", quiet)
		}

		answers(410, "")
		id = w.test(n)
		w.until("the endpoint is disabled", func() bool { return w.delivery(n, id).State == fsm.DeliveryFailed })
		before := len(s.all())
		job, _ := w.submit(n)
		e, _ := n.Leading()
		if _, _, err := e.Cancel(w.ctx, job, "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if len(s.all()) != before {
			t.Error("a disabled endpoint was sent something")
		}
	})
}

// untilIn is until, with more patience.
func (w *world) untilIn(d time.Duration, what string, holds func() bool) {
	w.t.Helper()
	for begin := time.Now(); time.Since(begin) < d; time.Sleep(time.Minute) {
		synctest.Wait()
		if holds() {
			return
		}
	}
	w.t.Fatalf("%v have passed, and not: %s", d, what)
}

// TestEgress_AReceiverThatHangsHoldsNobodyElse: its attempts end by their timeout, and no more than its share is under way.
func TestEgress_AReceiverThatHangsHoldsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var began []time.Time
		var mu sync.Mutex
		s := newSink(t, func(n int, rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			began = append(began, time.Now())
			mu.Unlock()
			<-r.Context().Done()
		})
		w.start("n1", s.config)
		n := w.leader("n1")
		s.set(n, 3)
		var ids []string
		for range 10 {
			ids = append(ids, w.test(n))
		}
		w.untilIn(time.Hour, "each was tried once and has timed out", func() bool {
			for _, id := range ids {
				if d := w.delivery(n, id); d.Attempts == 0 || !strings.Contains(d.LastError, "no answer within 15s") {
					return false
				}
			}
			return true
		})
		mu.Lock()
		defer mu.Unlock()
		if !began[2].Equal(began[0]) {
			t.Errorf("three are allowed at once; the third began %v after the first", began[2].Sub(began[0]))
		}
		// An attempt is over for its sender after 15 s; the receiver hears of it at some time in that instant.
		for i := 3; i < len(began); i++ {
			if d := began[i].Sub(began[i-3]); d < 15*time.Second {
				t.Errorf("attempt %d began %v after attempt %d: four were under way at once, 3 are allowed", i, d, i-3)
			}
		}
		w.submit(n)
	})
}

// TestEgress_FailoverLosesNoDelivery: leaders stop and are cut off while the receiver hangs and fails; each job's end
// arrives, under one id, and is known to have arrived.
func TestEgress_FailoverLosesNoDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		s := newSink(t, func(n int, rw http.ResponseWriter, r *http.Request) {
			switch {
			case n == 1 && len(r.Header.Get(webhook.HeaderID))%2 == 0:
				rw.WriteHeader(503)
			case n == 1:
				time.Sleep(700 * time.Millisecond) // the leader is gone meanwhile
			}
		})
		for _, id := range ids {
			w.start(id, s.config)
		}
		n := w.leader(ids...)
		s.set(n, 8)
		jobs := map[string]bool{}
		for round := range 4 {
			e, _ := n.Leading()
			for range 5 {
				id, _ := w.submit(n)
				if _, _, err := e.Cancel(w.ctx, id, fmt.Sprint("round ", round)); err != nil {
					t.Fatal(err)
				}
				jobs[id.String()] = true
			}
			time.Sleep(100 * time.Millisecond)
			w.isolate(n.id)
			if err := w.stop(n.id); err != nil {
				t.Fatal(err)
			}
			old := n.id
			n = w.leader(ids...)
			w.heal(old)
			w.start(old, s.config)
		}
		w.untilIn(time.Hour, "all is delivered", func() bool {
			v := n.Machine().View()
			defer v.Close()
			all, err := v.Endpoints("default")
			return err == nil && all[0].Pending == 0
		})
		v := n.Machine().View()
		all, err := v.Endpoints("default")
		v.Close()
		if err != nil || all[0].Delivered != uint64(len(jobs)) || all[0].Failed != 0 {
			t.Fatalf("%d jobs have ended: %+v, %v", len(jobs), all[0], err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		more := 0
		for job := range jobs {
			if s.got[s.jobs[job]] == 0 {
				t.Errorf("the end of job %s was never delivered", job)
			}
			more += s.got[s.jobs[job]] - 1
		}
		if len(s.got) != len(jobs) {
			t.Errorf("%d jobs, %d delivery ids", len(jobs), len(s.got))
		}
		if more == 0 {
			t.Error("nothing was sent twice: the test did not meet a failover")
		}
	})
}
