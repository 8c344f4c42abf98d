package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var local = &Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

func TestSender_Outcomes(t *testing.T) {
	key, _ := NewSecret()
	asked := make(chan string, 10)
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		body, _ := io.ReadAll(r.Body)
		if m, err := Verify(Standard, r.Header, body, [][]byte{key}, time.Now(), time.Minute); err != nil || m.ID != "msg_1" || m.Event != "t" {
			t.Errorf("%s: the receiver got %+v, %v", r.URL.Path, m, err)
		}
		switch r.URL.Path {
		case "/busy":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(429)
		case "/date":
			w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "/gone":
			w.WriteHeader(410)
		case "/hang":
			<-release
		}
	}))
	defer srv.Close()
	defer close(release)
	s := NewSender(local, time.Now)
	defer s.Close()
	for _, c := range []struct {
		path   string
		status int
		text   string
		after  time.Duration
	}{
		{"/ok", 200, "", 0}, {"/busy", 429, "answered 429", 2 * time.Minute}, {"/date", 503, "answered 503", time.Hour},
		{"/moved", 307, "redirects are not followed", 0}, {"/gone", 410, "answered 410 Gone", 0}, {"/hang", 0, "no answer within 300ms", 0},
	} {
		out := s.Send(t.Context(), srv.URL+c.path, [][]byte{key}, "msg_1", []byte(`{"type":"t"}`), 300*time.Millisecond)
		if out.Status != c.status || !strings.Contains(out.Error, c.text) || (c.text == "") != (out.Error == "") ||
			out.RetryAfter > c.after || out.RetryAfter < c.after-2*time.Second {
			t.Errorf("%s: %+v", c.path, out)
		}
		if got := <-asked; got != c.path {
			t.Errorf("%s: the receiver was asked for %s", c.path, got)
		}
	}
	if out := NewSender(&Guard{}, time.Now).Send(t.Context(), srv.URL+"/ok", [][]byte{key}, "msg_1", nil, time.Second); out.Status != 0 || !strings.Contains(out.Error, "forbidden") || len(asked) > 0 {
		t.Errorf("a local address: %+v", out)
	}
}
