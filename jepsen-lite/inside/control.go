package inside

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Path is where a node takes orders, as JSON; it answers with its Effects.
const Path = "/order"

// Give gives an order to the node that listens for them at address, and returns what it has met with
// until now. It tries again until ctx ends: a node that was started just now does not listen yet.
func Give(ctx context.Context, address string, o Order) (Effects, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return Effects{}, err
	}
	return call(ctx, http.MethodPost, address, body)
}

// Ask returns what a node has met with until now.
func Ask(ctx context.Context, address string) (Effects, error) {
	return call(ctx, http.MethodGet, address, nil)
}

func call(ctx context.Context, method, address string, body []byte) (e Effects, err error) {
	for {
		if e, err = once(ctx, method, address, body); err == nil {
			return e, nil
		}
		select {
		case <-ctx.Done():
			return e, fmt.Errorf("the node does not take orders at %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func once(ctx context.Context, method, address string, body []byte) (e Effects, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+Path, bytes.NewReader(body))
	if err != nil {
		return e, err
	}
	request.Close = true // a node that was killed leaves no connection behind that looks usable
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return e, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return e, fmt.Errorf("%s: %s", response.Status, text)
	}
	return e, json.NewDecoder(response.Body).Decode(&e)
}
