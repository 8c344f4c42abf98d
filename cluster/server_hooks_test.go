package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cluster/webhook"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func (w *serverWorld) setSource(name, scheme, secret string, events ...string) {
	w.t.Helper()
	_, err := w.other.SetWebhook(w.t.Context(), connect.NewRequest(&apiv1.SetWebhookRequest{
		Name:    &apiv1.WebhookName{Kind: &apiv1.WebhookName_Source{Source: name}},
		Source:  &apiv1.WebhookSource{Scheme: scheme, Graph: testGraph(w.t, "a"), Events: events},
		Secrets: []string{secret},
	}))
	if err != nil {
		w.t.Fatal(err)
	}
}

// post sends a message as a Standard Webhooks sender does, changed by change.
func (w *serverWorld) post(base, path, id, body string, change ...func(http.Header)) (status int, answer map[string]any, h http.Header) {
	w.t.Helper()
	key, err := webhook.ParseSecret(webhook.Standard, hookSecret)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	webhook.Sign(req.Header, [][]byte{key}, id, time.Now(), []byte(body))
	for _, c := range change {
		c(req.Header)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	doc, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(doc, &answer); err != nil {
		w.t.Fatalf("%s %s: %d %s", base, path, res.StatusCode, doc)
	}
	return res.StatusCode, answer, res.Header
}

func (w *serverWorld) input(id string) string {
	w.t.Helper()
	job, err := fsm.ParseJobID(id)
	if err != nil {
		w.t.Fatal(err)
	}
	v := w.m.View()
	defer v.Close()
	var b bytes.Buffer
	if err := v.JobInput(&b, job); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

func TestHooks_AMessageBecomesOneJobOnAnyNode(t *testing.T) {
	w := newServerWorld(t)
	w.setSource("orders", webhook.Standard, hookSecret)
	body := `{"type":"order.paid", "n": 1.50, "html":"<b>"}`
	status, answer, _ := w.post(w.follower.url, "/hooks/default/orders", "m1", body)
	job, _ := answer["job"].(string)
	if status != http.StatusAccepted || job == "" {
		t.Fatalf("%d %v", status, answer)
	}
	var event struct {
		ID, Source, Event string
		ReceivedMS        int64 `json:"received_ms"`
		Payload           json.RawMessage
	}
	if err := json.Unmarshal([]byte(w.input(job)), &event); err != nil || event.ID != "m1" || event.Source != "orders" ||
		event.Event != "order.paid" || string(event.Payload) != body || time.Since(time.UnixMilli(event.ReceivedMS)) > time.Minute {
		t.Fatalf("input %s: %+v, %v", w.input(job), event, err)
	}
	for _, base := range []string{w.leader.url, w.follower.url} {
		if status, again, _ := w.post(base, "/hooks/default/orders", "m1", body); status != http.StatusOK || again["job"] != job || again["duplicate"] != true {
			t.Errorf("again: %d %v", status, again)
		}
	}
	large := `"` + strings.Repeat("x", 600_000) + `"`
	status, answer, _ = w.post(w.follower.url, "/hooks/default/orders", "m2", large)
	if status != http.StatusAccepted || !strings.Contains(w.input(answer["job"].(string)), large) {
		t.Fatalf("a large message: %d %v", status, answer)
	}
	res, err := w.client.ListWebhooks(t.Context(), connect.NewRequest(&apiv1.ListWebhooksRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	s := res.Msg.GetSources()[0]
	if s.GetReceived() != 2 || s.GetDuplicates() != 2 || s.GetSecrets() != 1 || strings.Contains(s.String(), "MfKQ9r8") {
		t.Errorf("source %v", s)
	}
}

func TestHooks_WhatIsNotRightIsAnsweredWithAReason(t *testing.T) {
	w := newServerWorld(t)
	w.setSource("s", webhook.Standard, hookSecret, "order.paid")
	body := `{"type":"order.paid"}`
	old := func(h http.Header) {
		key, _ := webhook.ParseSecret(webhook.Standard, hookSecret)
		webhook.Sign(h, [][]byte{key}, "m", time.Now().Add(-6*time.Minute), []byte(body))
	}
	for _, c := range []struct {
		name, path, body string
		change           func(http.Header)
		status           int
		says             string
	}{
		{"unknown source", "/hooks/default/none", body, nil, 404, "no such webhook source"},
		{"unknown namespace", "/hooks/other/s", body, nil, 404, "no such webhook source"},
		{"unsigned", "/hooks/default/s", body, func(h http.Header) { h.Del(webhook.HeaderSignature) }, 400, "webhook-signature"},
		{"wrong signature", "/hooks/default/s", body, func(h http.Header) { h.Set(webhook.HeaderID, "other") }, 401, "wrong signature"},
		{"too old", "/hooks/default/s", body, old, 401, "tolerance"},
		{"no JSON", "/hooks/default/s", `{"type":`, nil, 200, ""},
		{"not wanted", "/hooks/default/s", `{"type":"order.seen"}`, nil, 200, ""},
		{"too large", "/hooks/default/s", `"` + strings.Repeat("x", 1<<20) + `"`, nil, 413, "1048576"},
		{"long id", "/hooks/default/s", body, func(h http.Header) {
			key, _ := webhook.ParseSecret(webhook.Standard, hookSecret)
			webhook.Sign(h, [][]byte{key}, strings.Repeat("m", 300), time.Now(), []byte(body))
		}, 400, "id has 300 bytes"},
	} {
		change := c.change
		if change == nil {
			change = func(http.Header) {}
		}
		for _, base := range []string{w.leader.url, w.follower.url} {
			status, answer, _ := w.post(base, c.path, "m", c.body, change)
			text, _ := answer["error"].(string)
			if status != c.status || !strings.Contains(text, c.says) || answer["job"] != nil {
				t.Errorf("%s: %d %v", c.name, status, answer)
			}
		}
	}
	v := w.m.View()
	defer v.Close()
	if n := v.Counters().JobsSubmitted; n != 0 {
		t.Errorf("%d jobs were made", n)
	}
}

func TestHooks_NotJSONIsRefused(t *testing.T) {
	w := newServerWorld(t)
	w.setSource("s", webhook.Standard, hookSecret)
	if status, answer, _ := w.post(w.leader.url, "/hooks/default/s", "m", `payload=%7B%7D`); status != 400 || !strings.Contains(answer["error"].(string), "not JSON") {
		t.Errorf("%d %v", status, answer)
	}
}

func TestHooks_GitHubsPingIsAnsweredAndNoJob(t *testing.T) {
	w := newServerWorld(t)
	w.setSource("gh", webhook.GitHub, "It's a Secret to Everybody")
	github := func(event string) func(http.Header) {
		return func(h http.Header) {
			h.Set("X-GitHub-Delivery", "d-"+event)
			h.Set("X-GitHub-Event", event)
			h.Set("X-Hub-Signature-256", "sha256=78aacb5b0b31a67bd1ceb5eaf7ba8d0b1d1ff6d9ba9e22d1a8a3c0c0b3f1ad0f")
		}
	}
	if status, answer, _ := w.post(w.leader.url, "/hooks/default/gh", "", `{}`, github("push")); status != 401 {
		t.Errorf("a wrong signature: %d %v", status, answer)
	}
	signed := func(event string) func(http.Header) {
		return func(h http.Header) {
			github(event)(h)
			h.Set("X-Hub-Signature-256", githubSum("It's a Secret to Everybody", `{}`))
		}
	}
	if status, answer, _ := w.post(w.leader.url, "/hooks/default/gh", "", `{}`, signed("ping")); status != 200 || answer["ignored"] == nil {
		t.Errorf("ping: %d %v", status, answer)
	}
	if status, answer, _ := w.post(w.leader.url, "/hooks/default/gh", "", `{}`, signed("push")); status != 202 || !strings.Contains(w.input(answer["job"].(string)), `"event":"push"`) {
		t.Errorf("push: %d %v", status, answer)
	}
}

func TestHooks_APausedSourceAsksToComeAgain(t *testing.T) {
	w := newServerWorld(t)
	w.setSource("s", webhook.Standard, hookSecret)
	change := func(what string) {
		t.Helper()
		if _, err := w.client.ChangeWebhook(t.Context(), connect.NewRequest(&apiv1.ChangeWebhookRequest{
			Name: &apiv1.WebhookName{Kind: &apiv1.WebhookName_Source{Source: "s"}}, Change: what})); err != nil {
			t.Fatal(err)
		}
	}
	change("pause")
	status, answer, h := w.post(w.follower.url, "/hooks/default/s", "m", `{}`)
	if status != 503 || h.Get("Retry-After") != "60" || answer["code"] != "WEBHOOK_PAUSED" {
		t.Errorf("%d %v %v", status, answer, h)
	}
	change("resume")
	if status, answer, _ := w.post(w.follower.url, "/hooks/default/s", "m", `{}`); status != 202 {
		t.Errorf("%d %v", status, answer)
	}
	w.leader.eng.Store(nil)
	w.leader.leader.Store(nil)
	if status, answer, h := w.post(w.leader.url, "/hooks/default/s", "m2", `{}`); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("without a leader: %d %v", status, answer)
	}
}

// TestHooks_ARotatedSecretStaysLiveOnce: the sender may go on with the old secret until the next rotation.
func TestHooks_ARotatedSecretStaysLiveOnce(t *testing.T) {
	w := newServerWorld(t)
	w.setSource("s", webhook.Standard, hookSecret)
	rotate := func() {
		_, text := webhook.NewSecret()
		if _, err := w.client.SetWebhook(t.Context(), connect.NewRequest(&apiv1.SetWebhookRequest{
			Name:   &apiv1.WebhookName{Kind: &apiv1.WebhookName_Source{Source: "s"}},
			Source: &apiv1.WebhookSource{Scheme: webhook.Standard, Graph: testGraph(t, "a")}, Secrets: []string{text}, Rotate: true,
		})); err != nil {
			t.Fatal(err)
		}
	}
	rotate()
	if status, answer, _ := w.post(w.leader.url, "/hooks/default/s", "m", `{}`); status != 202 {
		t.Fatalf("the old secret after a rotation: %d %v", status, answer)
	}
	rotate()
	if status, answer, _ := w.post(w.leader.url, "/hooks/default/s", "m2", `{}`); status != 401 {
		t.Fatalf("a secret two rotations old: %d %v", status, answer)
	}
}
