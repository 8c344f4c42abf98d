package webhook

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Why a message is refused.
var (
	// ErrIncomplete: a header or field is missing or has the wrong form.
	ErrIncomplete = errors.New("webhook: incomplete")
	// ErrSignature: no signature is by a secret that is known.
	ErrSignature = errors.New("webhook: wrong signature")
	// ErrTime: the message is older, or further in the future, than the tolerance allows.
	ErrTime = errors.New("webhook: outside the tolerance of time")
)

// Message is what a verified message says about itself.
type Message struct {
	// ID is the sender's name of the message: the same when it is sent again.
	ID string
	// Event is its type: of GitHub a header, otherwise the field "type" of the body; "" = none.
	Event string
}

// Verify checks a message: that it was signed by one of the secrets, and within the tolerance of now. The time is
// part of what is signed, but for GitHub, which sends none: its messages can be replayed by whoever has seen one.
func Verify(scheme string, h http.Header, body []byte, secrets [][]byte, now time.Time, tolerance time.Duration) (Message, error) {
	switch scheme {
	case Standard:
		return verifyStandard(h, body, secrets, now, tolerance)
	case GitHub:
		return verifyGitHub(h, body, secrets)
	case Stripe:
		return verifyStripe(h, body, secrets, now, tolerance)
	}
	return Message{}, fmt.Errorf("webhook: unknown scheme %q", scheme)
}

func verifyStandard(h http.Header, body []byte, secrets [][]byte, now time.Time, tolerance time.Duration) (Message, error) {
	id, stamp := h.Get(HeaderID), h.Get(HeaderTimestamp)
	if id == "" || stamp == "" || h.Get(HeaderSignature) == "" {
		return Message{}, fmt.Errorf("%w: the headers webhook-id, webhook-timestamp and webhook-signature are needed", ErrIncomplete)
	}
	var sums [][]byte
	for s := range strings.SplitSeq(h.Get(HeaderSignature), " ") {
		if text, ok := strings.CutPrefix(s, "v1,"); ok {
			if b, err := base64.StdEncoding.DecodeString(text); err == nil {
				sums = append(sums, b)
			}
		}
	}
	if !signed(secrets, sums, func(s []byte) []byte { return standardSum(s, id, stamp, body) }) {
		return Message{}, ErrSignature
	}
	if err := inTime(stamp, now, tolerance); err != nil {
		return Message{}, err
	}
	_, event := fields(body)
	return Message{ID: id, Event: event}, nil
}

func verifyGitHub(h http.Header, body []byte, secrets [][]byte) (Message, error) {
	m := Message{ID: h.Get("X-GitHub-Delivery"), Event: h.Get("X-GitHub-Event")}
	text, ok := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	if m.ID == "" || !ok {
		return Message{}, fmt.Errorf("%w: the headers X-GitHub-Delivery and X-Hub-Signature-256 are needed: give the webhook a secret", ErrIncomplete)
	}
	b, _ := hex.DecodeString(text)
	if !signed(secrets, [][]byte{b}, func(s []byte) []byte { return sum(s, body) }) {
		return Message{}, ErrSignature
	}
	return m, nil
}

func verifyStripe(h http.Header, body []byte, secrets [][]byte, now time.Time, tolerance time.Duration) (Message, error) {
	var stamp string
	var sums [][]byte
	for part := range strings.SplitSeq(h.Get("Stripe-Signature"), ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "t":
			stamp = value
		case "v1":
			if b, err := hex.DecodeString(value); err == nil {
				sums = append(sums, b)
			}
		}
	}
	if stamp == "" || len(sums) == 0 {
		return Message{}, fmt.Errorf("%w: the header Stripe-Signature is needed, with t and v1", ErrIncomplete)
	}
	if !signed(secrets, sums, func(s []byte) []byte { return sum(s, []byte(stamp+"."), body) }) {
		return Message{}, ErrSignature
	}
	if err := inTime(stamp, now, tolerance); err != nil {
		return Message{}, err
	}
	id, event := fields(body)
	if id == "" {
		return Message{}, fmt.Errorf("%w: the body has no id", ErrIncomplete)
	}
	return Message{ID: id, Event: event}, nil
}

// signed compares in constant time.
func signed(secrets, sums [][]byte, want func(secret []byte) []byte) bool {
	for _, s := range secrets {
		w := want(s)
		for _, got := range sums {
			if hmac.Equal(w, got) {
				return true
			}
		}
	}
	return false
}

func inTime(stamp string, now time.Time, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return fmt.Errorf("%w: the timestamp is no number of seconds", ErrIncomplete)
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return fmt.Errorf("%w: it is %v off, and %v are allowed: is the sender's clock right?", ErrTime, off.Round(time.Second), tolerance)
	}
	return nil
}

// fields reads the id and the type of a body, "" where there is none.
func fields(body []byte) (id, event string) {
	var b struct {
		ID   any `json:"id"`
		Type any `json:"type"`
	}
	if json.Unmarshal(body, &b) == nil {
		id, _ = b.ID.(string)
		event, _ = b.Type.(string)
	}
	return id, event
}
