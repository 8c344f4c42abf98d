package sdk

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// WebhookSourceStatus is a webhook source as it is. See the API.
type WebhookSourceStatus = apiv1.WebhookSourceStatus

// WebhookEndpointStatus is a webhook endpoint as it is. See the API.
type WebhookEndpointStatus = apiv1.WebhookEndpointStatus

// Webhooks are the webhook sources and endpoints of the client's namespace, by name.
func (c *Client) Webhooks(ctx context.Context) (sources []*WebhookSourceStatus, endpoints []*WebhookEndpointStatus, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		r, err := api.ListWebhooks(ctx, connect.NewRequest(&apiv1.ListWebhooksRequest{Namespace: c.cfg.Namespace}))
		if err == nil {
			sources, endpoints = r.Msg.Sources, r.Msg.Endpoints
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sdk: webhooks: %w", err)
	}
	return sources, endpoints, nil
}

func (c *Client) hasEndpoint(ctx context.Context, name string) (bool, error) {
	_, endpoints, err := c.Webhooks(ctx)
	for _, p := range endpoints {
		if p.Name == name {
			return true, err
		}
	}
	return false, err
}

func (c *Client) changeWebhook(ctx context.Context, n *apiv1.WebhookName, change, name string) error {
	var done error
	if change == "delete" {
		done = ErrNotFound
	}
	return c.change(ctx, change+" webhook "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.ChangeWebhook(ctx, connect.NewRequest(&apiv1.ChangeWebhookRequest{Name: n, Change: change}))
		return err
	}, done)
}

func (c *Client) sourceName(name string) *apiv1.WebhookName {
	return &apiv1.WebhookName{Namespace: c.cfg.Namespace, Kind: &apiv1.WebhookName_Source{Source: name}}
}

func (c *Client) endpointName(name string) *apiv1.WebhookName {
	return &apiv1.WebhookName{Namespace: c.cfg.Namespace, Kind: &apiv1.WebhookName_Endpoint{Endpoint: name}}
}

func (c *Client) setWebhook(ctx context.Context, q *apiv1.SetWebhookRequest) (res *apiv1.SetWebhookResponse, err error) {
	err = c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		r, err := api.SetWebhook(ctx, connect.NewRequest(q))
		if err == nil {
			res = r.Msg
		}
		return err
	})
	return res, err
}
