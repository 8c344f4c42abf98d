// Package sidekiq has the code of docs/migrate/sidekiq.md: work that Sidekiq users know, in Fanfold.
package sidekiq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Signup is what the job is about.
type Signup struct {
	User  int
	Email string
}

// errBounced is the mailer's word for an address that does not exist.
var errBounced = errors.New("the address bounces")

// Welcome sends a mail. Its retries go by the curve of Sidekiq, n^4 + 15 s, which is the default.
var Welcome = sdk.NewTask("mail.welcome", func(ctx context.Context, s Signup) (string, error) {
	id, err := send(s.Email, sdk.Key(ctx)) // the key: a second run does not mail twice
	if errors.Is(err, errBounced) {
		return "", sdk.Permanent(err) // no other attempt would do better
	}
	return id, err
})

// Report is sidekiq_options queue: "low", retry: 5, with a sidekiq_retry_in of ten seconds times the count.
var Report = sdk.NewTask("report", func(ctx context.Context, month int) (string, error) {
	text, err := render(month)
	if err != nil {
		return "", sdk.RetryAfter(err, 10*time.Second*time.Duration(sdk.Info(ctx).Attempt))
	}
	return text, nil
}, sdk.Queue("low"), sdk.Retry(sdk.RetryPolicy{MaxAttempts: 6}))

// What a test puts a fake in place of.
var (
	send   = func(to, key string) (string, error) { return "mail " + key + " to " + to, nil }
	render = func(month int) (string, error) { return fmt.Sprintf("report of month %d", month), nil }
)
