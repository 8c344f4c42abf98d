package sdk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cluster/webhook"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// WebhookEndpoint says where events are delivered to, and which.
type WebhookEndpoint struct {
	// Name of the endpoint in the client's namespace; required.
	Name string
	// URL that is posted to, http or https; required. Its address has to be public, unless the nodes allow it.
	URL string
	// Secrets that deliveries are signed by, one or two, each "whsec_" and base64. They are stored in the cluster's
	// state and never shown again. None: a new endpoint is given one, another one keeps what it has.
	Secrets []string
	// Rotate puts a new secret first, the one given or one that is made, and keeps the one that was first as the
	// second: deliveries are signed by both.
	Rotate bool
	// Events that are delivered: job.success, job.failure, job.canceled, task.dead. Default all.
	Events []string
	// Workflows whose events are delivered, by name; a task by itself counts as a workflow. Default all.
	Workflows []string
	// Parallel is how many deliveries may be under way at once. Default 4, at most 64.
	Parallel int
	// Timeout of one attempt. Default 15 s, 100 ms to 60 s.
	Timeout time.Duration
}

// SetWebhookEndpoint makes a webhook endpoint, or changes the one of its name. It returns the secret that it has made
// for the receiver, "" if it made none; nobody can ask for it again.
func (c *Client) SetWebhookEndpoint(ctx context.Context, p WebhookEndpoint) (secret string, err error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("sdk: webhook endpoint %s: %w", p.Name, err) }
	if p.Parallel < 0 || p.Parallel > 1<<20 {
		return fail(fmt.Errorf("%w: Parallel is %d", ErrInvalid, p.Parallel))
	}
	secrets := p.Secrets
	if len(secrets) == 0 {
		made := p.Rotate
		if !made {
			has, err := c.hasEndpoint(ctx, p.Name)
			if err != nil {
				return fail(err)
			}
			made = !has
		}
		if made { // here and not by the node: an answer that is lost would take the secret with it
			_, secret = webhook.NewSecret()
			secrets = []string{secret}
		}
	}
	_, err = c.setWebhook(ctx, &apiv1.SetWebhookRequest{
		Name: c.endpointName(p.Name), Secrets: secrets, Rotate: p.Rotate,
		Endpoint: &apiv1.WebhookEndpoint{Url: p.URL, Events: p.Events, Workflows: p.Workflows, Parallel: uint32(p.Parallel), TimeoutMs: milliseconds(p.Timeout)},
	})
	if err != nil {
		return fail(err)
	}
	return secret, nil
}

// PauseWebhookEndpoint holds an endpoint's deliveries. New ones are written and wait, up to 100,000.
func (c *Client) PauseWebhookEndpoint(ctx context.Context, name string) error {
	return c.changeWebhook(ctx, c.endpointName(name), "pause", name)
}

// ResumeWebhookEndpoint lets deliveries go again, also to an endpoint that had answered 410.
func (c *Client) ResumeWebhookEndpoint(ctx context.Context, name string) error {
	return c.changeWebhook(ctx, c.endpointName(name), "resume", name)
}

// DeleteWebhookEndpoint removes an endpoint, and its deliveries with it.
func (c *Client) DeleteWebhookEndpoint(ctx context.Context, name string) error {
	return c.changeWebhook(ctx, c.endpointName(name), "delete", name)
}

// TestWebhookEndpoint delivers an event of type webhook.test, and returns the delivery's id.
func (c *Client) TestWebhookEndpoint(ctx context.Context, name string) (id string, err error) {
	err = c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		r, err := api.ChangeWebhook(ctx, connect.NewRequest(&apiv1.ChangeWebhookRequest{Name: c.endpointName(name), Change: "test"}))
		if err == nil {
			id = r.Msg.Delivery
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("sdk: test webhook %s: %w", name, err)
	}
	return id, nil
}

// VerifyWebhook checks a delivery in a receiver: it was signed by one of the secrets (as SetWebhookEndpoint took or
// returned them), and is not older than 5 minutes. id is the same in every attempt: note it to do the work once.
func VerifyWebhook(h http.Header, body []byte, secrets ...string) (id string, err error) {
	var keys [][]byte
	for _, s := range secrets {
		key, err := webhook.ParseSecret(webhook.Standard, s)
		if err != nil {
			return "", err
		}
		keys = append(keys, key)
	}
	m, err := webhook.Verify(webhook.Standard, h, body, keys, time.Now(), 5*time.Minute)
	return m.ID, err
}
