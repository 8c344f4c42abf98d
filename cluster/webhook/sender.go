package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Sender posts messages to receivers. It follows no redirect, uses no proxy, and dials by its guard alone.
type Sender struct {
	http *http.Client
	now  func() time.Time
}

// NewSender makes a sender. now is the clock of the signatures.
func NewSender(g *Guard, now func() time.Time) *Sender {
	return &Sender{now: now, http: &http.Client{
		Transport: &http.Transport{
			DialContext: g.DialContext, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 4, MaxIdleConns: 256, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close drops idle connections.
func (s *Sender) Close() { s.http.CloseIdleConnections() }

// Outcome is how an attempt ended.
type Outcome struct {
	Status     int           // HTTP; 0 = no answer
	Error      string        // why there was none, or why the answer does not count; "" for 2xx
	RetryAfter time.Duration // what the receiver asks for; 0 = nothing
}

// answerMax is how much of an answer is read, so that its connection can be used again.
const answerMax = 64 << 10

// Send makes one attempt: it posts the body, signed, and waits up to the timeout for an answer. Nothing of the
// answer but its status and Retry-After is kept: a receiver must not be a way to read what it can reach.
func (s *Sender) Send(ctx context.Context, url string, secrets [][]byte, id string, body []byte, timeout time.Duration) Outcome {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Outcome{Error: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Fanfold-Webhooks/1")
	Sign(req.Header, secrets, id, s.now(), body)
	res, err := s.http.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return Outcome{Error: "no answer within " + timeout.String()}
		}
		return Outcome{Error: err.Error()}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, answerMax)
	out := Outcome{Status: res.StatusCode}
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return out
	case res.StatusCode >= 300 && res.StatusCode < 400:
		out.Error = "redirects are not followed: give the endpoint the address that " + strconv.Itoa(res.StatusCode) + " leads to"
	default:
		out.Error = strings.TrimSpace("answered " + strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode))
	}
	out.RetryAfter = retryAfter(res.Header.Get("Retry-After"), s.now())
	return out
}

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 30*24*3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
