package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	// inlineLimit and chunkSize are fixed by the API: larger values travel as blobs of such chunks.
	inlineLimit = 256 << 10
	chunkSize   = 256 << 10
	// valueLimit is the largest value of all.
	valueLimit = 64 << 20
)

// Upload makes a JSON document ready to be sent: small ones inline, larger ones as a blob that is
// uploaded here. A blob that no job names is removed by the cluster after an hour.
func (c *Client) Upload(ctx context.Context, document []byte) (*apiv1.Value, error) {
	if len(document) > valueLimit {
		return nil, exit.With(exit.Usage, "store it elsewhere and submit its address",
			fmt.Errorf("the input has %d bytes and the limit is %d (64 MiB)", len(document), valueLimit))
	}
	if len(document) <= inlineLimit {
		return &apiv1.Value{Inline: document}, nil
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	sums := sha256.New()
	for index := 0; index*chunkSize < len(document); index++ {
		chunk := document[index*chunkSize : min((index+1)*chunkSize, len(document))]
		sum := sha256.Sum256(chunk)
		sums.Write(sum[:])
		_, err := Call(ctx, c, apiv1connect.FanfoldClient.PutChunk,
			&apiv1.PutChunkRequest{Blob: id, Index: uint32(index), Data: chunk})
		if err != nil {
			return nil, err
		}
	}
	return &apiv1.Value{Blob: &apiv1.Blob{Id: id, Size: uint64(len(document)), Sha256: sums.Sum(nil)}}, nil
}

// ReadValue writes a stored JSON document to w. When a stream breaks, it is opened again and what was
// already written is passed over: stored values do not change.
func (c *Client) ReadValue(ctx context.Context, w io.Writer, request *apiv1.ReadValueRequest) error {
	written, skip := 0, 0
	return Stream(ctx, c,
		func(api apiv1connect.FanfoldClient) (*connect.ServerStreamForClient[apiv1.ReadValueResponse], error) {
			skip = written
			return api.ReadValue(ctx, connect.NewRequest(request))
		},
		func(message *apiv1.ReadValueResponse) error {
			data := message.GetData()
			passed := min(skip, len(data))
			skip -= passed
			n, err := io.Copy(w, bytes.NewReader(data[passed:]))
			written += int(n)
			return err
		})
}
