// Package webhook signs, verifies and sends webhooks: Standard Webhooks in both directions, and the schemes of
// GitHub and Stripe for what comes in. It is also what a receiver written in Go needs: see Verify.
//
// The code is our own and not the official library's, because that one reads the wall clock, and because two of
// the three schemes are not in it; the signatures are checked against the specification's example.
// https://www.standardwebhooks.com, https://docs.github.com/webhooks, https://docs.stripe.com/webhooks/signatures
package webhook
