package sdk

import (
	"context"
	"fmt"
	"iter"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Delivery is an event on its way to an endpoint, or one that has ended. See the API.
type Delivery = apiv1.Delivery

// Deliveries yields an endpoint's deliveries, newest first: those that are PENDING, and of those that ended (DELIVERED,
// FAILED) the last 1,000. state filters; "" is all.
func (c *Client) Deliveries(ctx context.Context, endpoint, state string) iter.Seq2[*Delivery, error] {
	return pages(ctx, c, "deliveries of "+endpoint,
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*Delivery, string, error) {
			res, err := api.ListDeliveries(ctx, connect.NewRequest(&apiv1.ListDeliveriesRequest{Namespace: c.cfg.Namespace, Endpoint: endpoint, State: state, PageToken: token}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Deliveries, res.Msg.NextPageToken, nil
		})
}

// Delivery is one delivery by its id, with its body.
func (c *Client) Delivery(ctx context.Context, id string) (*Delivery, error) {
	page, err := c.deliveryPage(ctx, &apiv1.ListDeliveriesRequest{Namespace: c.cfg.Namespace, Id: id})
	if err != nil {
		return nil, fmt.Errorf("sdk: delivery %s: %w", id, err)
	}
	return page.Deliveries[0], nil
}

func (c *Client) deliveryPage(ctx context.Context, q *apiv1.ListDeliveriesRequest) (page *apiv1.ListDeliveriesResponse, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		r, err := api.ListDeliveries(ctx, connect.NewRequest(q))
		if err == nil {
			page = r.Msg
		}
		return err
	})
	return page, err
}

// ReplayDelivery delivers one again, whatever its state, under its id.
func (c *Client) ReplayDelivery(ctx context.Context, id string) error {
	_, err := c.replay(ctx, &apiv1.ReplayDeliveryRequest{Namespace: c.cfg.Namespace, Id: id})
	return err
}

// ReplayDeliveries delivers again what has failed of an endpoint and was made at since or later (zero: all that is
// kept), and says how many those are.
func (c *Client) ReplayDeliveries(ctx context.Context, endpoint string, since time.Time) (int, error) {
	q := &apiv1.ReplayDeliveryRequest{Namespace: c.cfg.Namespace, Endpoint: endpoint}
	if !since.IsZero() {
		q.SinceMs = since.UnixMilli()
	}
	return c.replay(ctx, q)
}

func (c *Client) replay(ctx context.Context, q *apiv1.ReplayDeliveryRequest) (n int, err error) {
	err = c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		r, err := api.ReplayDelivery(ctx, connect.NewRequest(q))
		if err == nil {
			n = int(r.Msg.Replayed)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sdk: replay: %w", err)
	}
	return n, nil
}
