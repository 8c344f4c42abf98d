package cluster

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// BenchmarkServer_RoundTrip is the whole life of a job of one task over the API on loopback, client
// and workers in the same process: 100 jobs a call, two workers of 200 slots.
func BenchmarkServer_RoundTrip(b *testing.B) {
	w := newServerWorld(b)
	graph := testGraph(b, "a")
	done := make(chan int, 1024)
	for range 2 {
		worker, _ := w.work(testHello(200))
		go func() {
			for {
				msg, err := worker.stream.Receive()
				if err != nil {
					return
				}
				if n := len(msg.GetAcks()); n > 0 {
					done <- n
				}
				if len(msg.GetAssignments()) == 0 {
					continue
				}
				out := &apiv1.WorkRequest{}
				for _, a := range msg.GetAssignments() {
					out.Reports = append(out.Reports, &apiv1.Report{Fence: a.GetFence(), Task: a.GetTask(),
						Outcome: &apiv1.Report_Result{Result: &apiv1.Value{Inline: []byte(`{"ok":true}`)}}})
				}
				if worker.stream.Send(out) != nil {
					return
				}
			}
		}()
	}
	b.ReportAllocs()
	b.ResetTimer()
	window := make(chan struct{}, 8)
	go func() {
		for n := 0; n < b.N; n += 100 {
			window <- struct{}{}
			go func() {
				req := &apiv1.SubmitJobsRequest{}
				for range min(100, b.N-n) {
					req.Jobs = append(req.Jobs, &apiv1.Job{Id: ulid.Make().String(), Graph: graph, Input: &apiv1.Value{Inline: []byte(`{"n":1}`)}})
				}
				if _, err := w.client.SubmitJobs(b.Context(), connect.NewRequest(req)); err != nil {
					b.Error(err)
				}
				<-window
			}()
		}
	}()
	for n := 0; n < b.N; {
		n += <-done
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
