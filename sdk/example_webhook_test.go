package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

type payment struct {
	Order  int
	Amount float64
}

// A task that runs for every message that a payment service posts to /hooks/default/payments.
var paid = sdk.NewTask("orders.paid", func(ctx context.Context, e sdk.WebhookEvent[payment]) (string, error) {
	return fmt.Sprintf("order %d: %s", e.Payload.Order, e.Event), nil
})

func ExampleSetWebhookSource() {
	ctx, client := context.Background(), dialed()
	err := sdk.SetWebhookSource(ctx, client, sdk.WebhookSource{
		Name:    "payments",
		Scheme:  sdk.WebhookStripe,
		Secrets: []string{"whsec_of_the_payment_service"},
		Events:  []string{"charge.succeeded"},
		Options: []sdk.SubmitOption{sdk.Retain(72 * time.Hour)},
	}, paid)
	if err != nil {
		log.Fatal(err)
	}
	sources, _, err := client.Webhooks(ctx)
	fmt.Println(sources[0].Name, sources[0].Workflow, sources[0].Source.Scheme, err)
	fmt.Println(client.DeleteWebhookSource(ctx, "payments"))
	// Output:
	// payments orders.paid stripe <nil>
	// <nil>
}

// The end of every job of a task is posted to a receiver, which checks the signature.
func ExampleClient_SetWebhookEndpoint() {
	ctx, client := context.Background(), dialed()
	defer work(double)()
	var secret string
	got := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, err := sdk.VerifyWebhook(r.Header, body, secret)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event struct{ Type string }
		_ = json.Unmarshal(body, &event)
		got <- fmt.Sprint(event.Type, " ", id != "")
	}))
	defer receiver.Close()
	secret, err := client.SetWebhookEndpoint(ctx, sdk.WebhookEndpoint{Name: "billing", URL: receiver.URL, Workflows: []string{double.Name()}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := double.Submit(ctx, client, 21); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-got)
	fmt.Println(client.DeleteWebhookEndpoint(ctx, "billing"))
	// Output:
	// job.success true
	// <nil>
}
