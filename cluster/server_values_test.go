package cluster

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// bigValue uploads a JSON string of about size bytes.
func bigValue(t *testing.T, w *serverWorld, size int) bigDoc {
	t.Helper()
	doc := append(append([]byte{'"'}, bytes.Repeat([]byte("0123456789abcdef"), size/16)...), '"')
	id := bytes.Repeat([]byte{7}, blobIDBytes)
	var sums []byte
	for i := 0; i*inlineMax < len(doc); i++ {
		chunk := doc[i*inlineMax : min(len(doc), (i+1)*inlineMax)]
		sum := sha256.Sum256(chunk)
		sums = append(sums, sum[:]...)
		if _, err := w.other.PutChunk(t.Context(), connect.NewRequest(&apiv1.PutChunkRequest{Blob: id, Index: uint32(i), Data: chunk})); err != nil {
			t.Fatal(err)
		}
	}
	all := sha256.Sum256(sums)
	return bigDoc{doc, &apiv1.Value{Blob: &apiv1.Blob{Id: id, Size: uint64(len(doc)), Sha256: all[:]}}}
}

func readValue(t *testing.T, client apiv1connect.FanfoldClient, req *apiv1.ReadValueRequest) []byte {
	t.Helper()
	s, err := client.ReadValue(t.Context(), connect.NewRequest(req))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var doc []byte
	for s.Receive() {
		if n := len(s.Msg().GetData()); n == 0 || n > inlineMax {
			t.Fatalf("a frame of %d bytes", n)
		}
		doc = append(doc, s.Msg().GetData()...)
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return doc
}

func TestReadValue_ALargeInputReachesTheWorkerAsAStream(t *testing.T) {
	w := newServerWorld(t)
	worker, _ := w.work(testHello(1))
	big := bigValue(t, w, inlineMax+100)
	res, err := w.client.SubmitJobs(t.Context(), connect.NewRequest(&apiv1.SubmitJobsRequest{Jobs: []*apiv1.Job{{Graph: testGraph(t, "a"), Input: big.value}}}))
	if err != nil || res.Msg.GetResults()[0].GetError() != nil {
		t.Fatalf("%v, %v", res, err)
	}
	id := res.Msg.GetResults()[0].GetId()
	a := worker.assignment()
	if !a.GetLarge() || len(a.GetInput()) != 0 {
		t.Fatalf("%v", a)
	}
	for _, q := range []*apiv1.ReadValueRequest{
		{Id: id, What: &apiv1.ReadValueRequest_Task{Task: a.GetTask()}},
		{Id: id, What: &apiv1.ReadValueRequest_Input{Input: true}},
	} {
		if doc := readValue(t, w.client, q); !bytes.Equal(doc, big.doc) {
			t.Fatalf("%d bytes, want %d", len(doc), len(big.doc))
		}
	}
}

func TestReadValue_WhatIsNotThereIsAnError(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.client, `1`)
	for name, c := range map[string]struct {
		q    *apiv1.ReadValueRequest
		code string
	}{
		"result of a running job": {&apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Result{Result: true}}, "NOT_ENDED"},
		"step that runs":          {&apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Step{Step: "only"}}, "NOT_ENDED"},
		"unknown step":            {&apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Step{Step: "other"}}, "NOT_FOUND"},
		"nothing asked":           {&apiv1.ReadValueRequest{Id: id}, "INVALID"},
		"no id":                   {&apiv1.ReadValueRequest{}, "INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, receiveAll(w.client.ReadValue(t.Context(), connect.NewRequest(c.q))), c.code)
		})
	}
}

func TestPutChunk_WrongPartsAreRefused(t *testing.T) {
	w := newServerWorld(t)
	id := make([]byte, blobIDBytes)
	for code, q := range map[string]*apiv1.PutChunkRequest{
		"INVALID":   {Blob: id[:3], Data: []byte("x")},
		"TOO_LARGE": {Blob: id, Data: make([]byte, inlineMax+1)},
	} {
		_, err := w.client.PutChunk(t.Context(), connect.NewRequest(q))
		wantCode(t, err, code)
	}
	_, err := w.client.PutChunk(t.Context(), connect.NewRequest(&apiv1.PutChunkRequest{Blob: id, Index: 1, Data: []byte("out of order")}))
	wantCode(t, err, "INVALID")
}
