package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// SetWebhook makes a webhook source or endpoint, or changes one; created tells which.
func (e *Engine) SetWebhook(ctx context.Context, c *fsmpb.SetWebhook) (created bool, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_SetWebhook{SetWebhook: c}})
	return a.Created, index, err
}

// ChangeWebhook pauses, resumes, tests or deletes a webhook source or endpoint; test is the delivery of a test.
func (e *Engine) ChangeWebhook(ctx context.Context, c *fsmpb.ChangeWebhook) (test fsm.DeliveryRef, index uint64, err error) {
	a, index, err := e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_ChangeWebhook{ChangeWebhook: c}})
	return a.Delivery, index, err
}

// ReceiveWebhook makes a job of a message that was verified; existing: it had come before.
func (e *Engine) ReceiveWebhook(ctx context.Context, c *fsmpb.ReceiveWebhook) (job fsm.JobID, existing bool, err error) {
	a, _, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_ReceiveWebhook{ReceiveWebhook: c}})
	return a.Job, a.Existing, err
}

// ReportDelivery takes note of an attempt to deliver. It goes before submissions: what was sent and is not
// noted is sent again.
func (e *Engine) ReportDelivery(ctx context.Context, c *fsmpb.ReportDelivery) error {
	_, _, err := e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_ReportDelivery{ReportDelivery: c}})
	return err
}

// ReplayDelivery delivers again, and says how many.
func (e *Engine) ReplayDelivery(ctx context.Context, c *fsmpb.ReplayDelivery) (replayed uint32, index uint64, err error) {
	a, index, err := e.one(ctx, bulk, &fsmpb.Command{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: c}})
	return a.Count, index, err
}

// Webhooks is signalled when a delivery has become due, or may be sent again. It has one reader: whoever
// sends deliveries in this term.
func (e *Engine) Webhooks() <-chan struct{} { return e.webhooks }
