package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/cluster/webhook"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

const (
	// receiveMax bounds the messages that a node reads at once. Above it senders are asked to come again.
	receiveMax = 64
	// receiveTimeout is how long a sender may take to send its message, and the log to take it.
	receiveTimeout = 30 * time.Second
	// pausedRetry is when the sender to a paused source is asked to come again.
	pausedRetry = time.Minute
)

// receiver answers POST /hooks/{namespace}/{source}: it verifies a message on the leader, and answers when the
// job that it became is committed.
type receiver struct {
	s    *server
	room chan struct{} // capacity receiveMax
}

func newReceiver(s *server) http.Handler {
	return &receiver{s: s, room: make(chan struct{}, receiveMax)}
}

// received is the answer to a message that was taken.
type received struct {
	Job       string `json:"job,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"` // it had come before
	Ignored   string `json:"ignored,omitempty"`   // why it became no job
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), receiveTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(receiveTimeout))
	select {
	case rc.room <- struct{}{}:
		defer func() { <-rc.room }()
	default:
		rc.refuse(w, &engine.OverloadedError{What: "receiver of webhooks", RetryAfter: time.Second})
		return
	}
	eng, leading := rc.s.h.Leading()
	if !leading {
		rc.forward(ctx, w, r)
		return
	}
	answer, err := rc.receive(ctx, eng, r)
	if err != nil {
		rc.refuse(w, err)
		return
	}
	status := http.StatusAccepted
	if answer.Job == "" || answer.Duplicate {
		status = http.StatusOK
	}
	writeJSON(w, status, answer)
}

// receive verifies a message and makes it a job.
func (rc *receiver) receive(ctx context.Context, eng *engine.Engine, r *http.Request) (*received, error) {
	ns, name := r.PathValue("namespace"), r.PathValue("source")
	source, err := rc.source(ns, name)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, int64(source.MaxBytes)))
	if err != nil {
		return nil, err
	}
	now := rc.s.cfg.Now()
	m, err := webhook.Verify(source.Scheme, r.Header, body, source.Secrets, now, time.Duration(source.ToleranceMS)*time.Millisecond)
	if err != nil {
		return nil, err
	}
	switch {
	case source.Paused:
		return nil, refuse(fsm.CodeWebhookPaused, "this source is paused: send again later")
	case !wanted(source, m.Event):
		return &received{Ignored: fmt.Sprintf("events of type %q are not wanted here", m.Event)}, nil
	case !json.Valid(body):
		return nil, invalid("the body is not JSON: have the sender send application/json")
	case len(m.ID) > nameMax:
		return nil, invalid("the message's id has %d bytes; it may have %d", len(m.ID), nameMax)
	}
	input, err := uploaded(ctx, eng, envelope(name, m, now, body))
	if err != nil {
		return nil, err
	}
	job := ulid.Make()
	id, existing, err := eng.ReceiveWebhook(ctx, &fsmpb.ReceiveWebhook{
		Namespace: ns, Source: name, Delivery: m.ID, Job: job[:], Input: input, Event: truncated(m.Event)})
	if err != nil {
		return nil, err
	}
	return &received{Job: id.String(), Duplicate: existing}, nil
}

func (rc *receiver) source(ns, name string) (*fsm.SourceView, error) {
	v := rc.s.h.Machine().View()
	defer v.Close()
	source, err := v.Source(ns, name)
	if errors.Is(err, fsm.ErrNotFound) {
		return nil, refuse(fsm.CodeNotFound, "there is no such webhook source")
	}
	return source, err
}

// wanted: GitHub's ping, which it sends when a webhook is made, is work for nobody who has not asked for it.
func wanted(s *fsm.SourceView, event string) bool {
	if len(s.Events) == 0 {
		return s.Scheme != fsm.SchemeGitHub || event != "ping"
	}
	return slices.Contains(s.Events, event)
}

// envelope is the job's input: sdk.WebhookEvent. The body is kept byte for byte.
func envelope(source string, m webhook.Message, now time.Time, body []byte) []byte {
	head, _ := json.Marshal(struct { // of strings and a number: it cannot fail
		ID         string `json:"id"`
		Source     string `json:"source"`
		Event      string `json:"event"`
		ReceivedMS int64  `json:"received_ms"`
	}{m.ID, source, m.Event, now.UnixMilli()})
	doc := make([]byte, 0, len(head)+len(body)+16)
	doc = append(doc, head[:len(head)-1]...)
	doc = append(doc, `,"payload":`...)
	doc = append(doc, bytes.TrimSpace(body)...)
	return append(doc, '}')
}

// uploaded makes a value of a document: inline, or a blob whose chunks are in the log before it is used.
func uploaded(ctx context.Context, eng *engine.Engine, doc []byte) (*fsmpb.Value, error) {
	if len(doc) <= inlineMax {
		return &fsmpb.Value{Inline: doc}, nil
	}
	id := make([]byte, blobIDBytes)
	_, _ = rand.Read(id) // never fails
	var sums []byte
	n := uint32(0)
	for part := range slices.Chunk(doc, fsm.ChunkBytes) {
		if _, err := eng.PutChunk(ctx, &fsmpb.PutChunk{Blob: id, Index: n, Data: part}); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(part)
		sums = append(sums, sum[:]...)
		n++
	}
	sum := sha256.Sum256(sums)
	return &fsmpb.Value{Blob: &fsmpb.Blob{Id: id, Size: uint64(len(doc)), Sha256: sum[:]}}, nil
}

func truncated(name string) string { return brief(name[:min(len(name), nameMax)]) }

// refuse answers a message that was not taken. What the sender can mend is 4xx; 5xx asks it to come again.
func (rc *receiver) refuse(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	var refusal *fsm.Refusal
	status, after := http.StatusServiceUnavailable, time.Second
	info := &apiv1.ErrorInfo{}
	switch {
	case errors.As(err, &large):
		status, info.Code, info.Message = http.StatusRequestEntityTooLarge, string(fsm.CodeTooLarge), fmt.Sprintf("the message may have %d bytes", large.Limit)
	case errors.Is(err, webhook.ErrSignature), errors.Is(err, webhook.ErrTime):
		status, info.Code, info.Message = http.StatusUnauthorized, string(fsm.CodeInvalid), err.Error()
	case errors.Is(err, webhook.ErrIncomplete):
		status, info.Code, info.Message = http.StatusBadRequest, string(fsm.CodeInvalid), err.Error()
	default:
		info = rc.s.info(err)
		if info.GetRetryAfterMs() > 0 {
			after = time.Duration(info.GetRetryAfterMs()) * time.Millisecond
		}
	}
	if errors.As(err, &refusal) {
		switch refusal.Code {
		case fsm.CodeNotFound:
			status = http.StatusNotFound
		case fsm.CodeInvalid:
			status = http.StatusBadRequest
		case fsm.CodeWebhookPaused:
			after = pausedRetry
		}
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	writeJSON(w, status, map[string]string{"code": info.GetCode(), "error": info.GetMessage()})
}

// forward passes a message on to the leader as it is, unless it has been passed on before.
func (rc *receiver) forward(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	leader, known := rc.s.h.LeaderAPI()
	if !known || r.Header.Get(forwardedHeader) != "" {
		rc.refuse(w, engine.ErrNotLeader)
		return
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+leader+r.URL.RequestURI(), r.Body)
	if err != nil {
		rc.refuse(w, err)
		return
	}
	out.Header, out.ContentLength = r.Header.Clone(), r.ContentLength
	for _, hop := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Te", "Trailer"} {
		out.Header.Del(hop)
	}
	out.Header.Set(forwardedHeader, "1")
	res, err := rc.s.peers.http.Do(out)
	if err != nil {
		rc.refuse(w, engine.ErrOutcomeUnknown) // the sender repeats it, and its id is known then
		return
	}
	defer res.Body.Close()
	for _, key := range []string{"Content-Type", "Retry-After"} {
		if value := res.Header.Get(key); value != "" {
			w.Header().Set(key, value)
		}
	}
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
