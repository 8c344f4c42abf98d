package sidekiq

import (
	"context"

	"github.com/fanfold/fanfold/sdk"
)

// Reindex is an IterableJob: after an interruption it goes on behind the last user that it has done.
var Reindex = sdk.NewTask("reindex", func(ctx context.Context, users []int) (int, error) {
	done := 0
	if _, err := sdk.Saved(ctx, &done); err != nil {
		return 0, err
	}
	for ; done < len(users); done++ {
		if err := index(users[done]); err != nil {
			return 0, err
		}
		if err := sdk.Save(ctx, done+1); err != nil {
			return 0, err
		}
	}
	return done, nil
})

var index = func(user int) error { return nil }
