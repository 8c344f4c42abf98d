package sdk

import (
	"context"
	"fmt"
	"iter"

	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// pages yields the items of a list that the API gives in pages. what names the list in errors.
func pages[T any](ctx context.Context, c *Client, what string,
	page func(ctx context.Context, api apiv1connect.FanfoldClient, token string) (items []T, next string, err error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			var items []T
			var next string
			err := c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) (err error) {
				items, next, err = page(ctx, api, token)
				return err
			})
			if err != nil {
				var none T
				yield(none, fmt.Errorf("sdk: %s: %w", what, err))
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if token = next; token == "" {
				return
			}
		}
	}
}
