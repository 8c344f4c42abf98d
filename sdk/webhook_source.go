package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/cluster/webhook"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// Schemes by which senders of webhooks sign.
const (
	WebhookStandard = webhook.Standard // Standard Webhooks (standardwebhooks.com)
	WebhookGitHub   = webhook.GitHub
	WebhookStripe   = webhook.Stripe
)

// WebhookEvent is the input of a task or workflow that a webhook source starts: what a sender has posted.
type WebhookEvent[T any] struct {
	ID         string `json:"id"`          // the sender's: the same message is one job, for 7 days
	Source     string `json:"source"`      // name of the source
	Event      string `json:"event"`       // the message's type; "" = it has none
	ReceivedMS int64  `json:"received_ms"` // when a node took it, unix milliseconds
	Payload    T      `json:"payload"`     // the body
}

// WebhookSource says which messages become jobs. Senders post them to http://NODE/hooks/NAMESPACE/NAME.
type WebhookSource struct {
	// Name of the source in the client's namespace; required.
	Name string
	// Scheme by which the sender signs. Default WebhookStandard.
	Scheme string
	// Secrets that the sender may sign by, one or two; of WebhookStandard "whsec_" and base64. They are stored in
	// the cluster's state and never shown again. Required for a new source; none leaves those that there are.
	Secrets []string
	// Rotate puts the one secret given first, and keeps the one that was first as the second.
	Rotate bool
	// Tolerance is how far the sender's time may be off. Default 5 min, at most 24 h. GitHub sends no time.
	Tolerance time.Duration
	// MaxBytes of a body. Default 1 MiB, at most 25 MiB.
	MaxBytes int
	// Events that become jobs; others are answered and dropped. Default: all, but GitHub's ping.
	Events []string
	// Options of the jobs, as Submit takes them; not those that are of one job only: JobID, JobKey, StartAt.
	Options []SubmitOption
}

// SetWebhookSource makes a webhook source, or changes the one of its name, which runs u for every message.
func SetWebhookSource[T, Out any](ctx context.Context, c *Client, s WebhookSource, u Submittable[WebhookEvent[T], Out]) error {
	graph, err := u.encodedGraph()
	if err != nil {
		return err
	}
	s.Options = append(u.submitDefaults(), s.Options...)
	return c.SetRawWebhookSource(ctx, s, graph)
}

// SetRawWebhookSource is SetWebhookSource without types: the graph's input is a WebhookEvent.
func (c *Client) SetRawWebhookSource(ctx context.Context, s WebhookSource, graph []byte) error {
	if s.Scheme == "" {
		s.Scheme = WebhookStandard
	}
	if s.MaxBytes < 0 || s.MaxBytes > 1<<30 {
		return fmt.Errorf("sdk: webhook source %s: %w: MaxBytes is %d", s.Name, ErrInvalid, s.MaxBytes)
	}
	var o submitSettings
	for _, option := range s.Options {
		option.submitOption(&o)
	}
	if o.job.Id != "" || o.job.Key != "" || o.job.NotBeforeMs != 0 || o.job.GetOptions().GetStartByMs() != 0 {
		o.fail("%w: JobID, JobKey, StartAt and StartBy are of one job, and a source makes many", ErrInvalid)
	}
	if len(o.errs) > 0 {
		return fmt.Errorf("sdk: webhook source %s: %w", s.Name, errors.Join(o.errs...))
	}
	graph, err := overridden(graph, o.override)
	if err != nil {
		return fmt.Errorf("sdk: webhook source %s: %w", s.Name, err)
	}
	_, err = c.setWebhook(ctx, &apiv1.SetWebhookRequest{
		Name: c.sourceName(s.Name), Secrets: s.Secrets, Rotate: s.Rotate,
		Source: &apiv1.WebhookSource{Scheme: s.Scheme, ToleranceMs: milliseconds(s.Tolerance), MaxBytes: uint32(s.MaxBytes),
			Events: s.Events, Graph: graph, Options: o.job.Options, RetainMs: o.job.RetainMs},
	})
	if err != nil {
		return fmt.Errorf("sdk: webhook source %s: %w", s.Name, err)
	}
	return nil
}

// PauseWebhookSource makes a source answer its senders that they come again later.
func (c *Client) PauseWebhookSource(ctx context.Context, name string) error {
	return c.changeWebhook(ctx, c.sourceName(name), "pause", name)
}

// ResumeWebhookSource undoes PauseWebhookSource.
func (c *Client) ResumeWebhookSource(ctx context.Context, name string) error {
	return c.changeWebhook(ctx, c.sourceName(name), "resume", name)
}

// DeleteWebhookSource removes a source. Its jobs go on.
func (c *Client) DeleteWebhookSource(ctx context.Context, name string) error {
	return c.changeWebhook(ctx, c.sourceName(name), "delete", name)
}
