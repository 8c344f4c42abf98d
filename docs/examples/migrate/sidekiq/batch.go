package sidekiq

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// ImportRow is one job of the batch, ImportDone its callback.
var (
	ImportRow = sdk.NewTask("import.row", func(_ context.Context, row int) (int, error) { return row, insert(row) },
		sdk.Retry(sdk.RetryPolicy{MaxAttempts: 2, First: time.Second}))
	ImportDone = sdk.NewTask("import.done", func(_ context.Context, b sdk.BatchOutcome[string]) (string, error) {
		return note(fmt.Sprintf("%s: %s, %d of %d rows", b.Event, b.Data, b.Succeeded, b.Total)), nil
	})
)

// importFile is Sidekiq::Batch.
func importFile(ctx context.Context, client *sdk.Client, file string, rows []int) (*sdk.Batch, error) {
	batch, err := client.NewBatch(ctx, sdk.BatchConfig{
		Name:       "import " + file,
		OnSuccess:  sdk.Callback(ImportDone, file),
		OnComplete: sdk.Callback(ImportDone, file),
		OnDeath:    sdk.Callback(ImportDone, file),
	})
	if err != nil {
		return nil, err
	}
	if _, err := sdk.SubmitBatch(ctx, client, ImportRow, rows, sdk.InBatch(batch)); err != nil {
		return nil, err
	}
	return batch, batch.Close(ctx)
}

// What a test puts a fake in place of.
var (
	insert = func(row int) error { return nil }
	note   = func(text string) string { return text }
)
