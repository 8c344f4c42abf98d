package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Schemes.
const (
	Standard = "standard"
	GitHub   = "github"
	Stripe   = "stripe"
)

const (
	secretPrefix = "whsec_"
	secretBytes  = 32 // of a secret that is made here
)

// NewSecret makes a secret of 32 random bytes and its text.
func NewSecret() (key []byte, text string) {
	key = make([]byte, secretBytes)
	_, _ = rand.Read(key) // never fails
	return key, secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParseSecret returns the key of a secret's text. Of Standard Webhooks that is base64, with "whsec_" in front or
// without; GitHub and Stripe use the text itself, Stripe's own "whsec_" included.
func ParseSecret(scheme, text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("webhook: the secret is empty")
	}
	if scheme != Standard {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, secretPrefix))
	if err != nil {
		return nil, fmt.Errorf("webhook: the secret is not whsec_ and base64, as Standard Webhooks has it: %w", err)
	}
	return key, nil
}

// Sign sets the three headers of Standard Webhooks for a message. Each secret makes a signature: while a secret is
// being changed the receiver may know the old one or the new one.
func Sign(h http.Header, secrets [][]byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	var all []string
	for _, s := range secrets {
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(standardSum(s, id, stamp, body)))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, stamp)
	h.Set(HeaderSignature, strings.Join(all, " "))
}

func standardSum(secret []byte, id, stamp string, body []byte) []byte {
	return sum(secret, []byte(id+"."+stamp+"."), body)
}

func sum(secret []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, secret)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}
