package engine

import (
	"fmt"
	"testing"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// BenchmarkSubmit is submissions alone: calls of so many jobs each, 8 callers.
func BenchmarkSubmit(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("jobs=%d", size), func(b *testing.B) {
			w := newWorld(b, Config{})
			graph := single(b, "a")
			b.ReportAllocs()
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				jobs := make([]*fsmpb.SubmitJob, 0, size)
				send := func() {
					if _, _, err := w.eng.Submit(w.ctx(), jobs); err != nil {
						b.Error(err)
					}
					jobs = jobs[:0]
				}
				for pb.Next() {
					if jobs = append(jobs, job(graph, `{"n":1}`)); len(jobs) == size {
						send()
					}
				}
				if len(jobs) > 0 {
					send()
				}
			})
			perEntry(b, w)
		})
	}
}

// BenchmarkRoundTrip is the whole life of a job of one task: submitted, granted, completed, with two
// workers of 200 slots that answer whatever comes in one message.
func BenchmarkRoundTrip(b *testing.B) {
	w := newWorld(b, Config{})
	graph := single(b, "a")
	const batch, ahead = 100, 8
	left := make(chan int, b.N+1)
	for range 2 {
		s := w.connect(200, "a")
		go func() {
			var o Outgoing
			for range s.Ready() {
				if s.Take(&o) != nil {
					return
				}
				if len(o.Grants) > 0 {
					report(b, s, `{"ok":true}`, o.Grants...)
				}
				for _, a := range o.Acks {
					left <- len(a.Fences)
				}
			}
		}()
	}
	b.ReportAllocs()
	b.ResetTimer()
	window := make(chan struct{}, ahead)
	go func() {
		for n := 0; n < b.N; n += batch {
			window <- struct{}{}
			jobs := make([]*fsmpb.SubmitJob, min(batch, b.N-n))
			for i := range jobs {
				jobs[i] = job(graph, `{"n":1}`)
			}
			go func() {
				if _, _, err := w.eng.Submit(w.ctx(), jobs); err != nil {
					b.Error(err)
				}
				<-window
			}()
		}
	}()
	for done := 0; done < b.N; {
		done += <-left
	}
	perEntry(b, w)
}

// BenchmarkChain is one chain alone: how long a step takes when nothing else runs.
func BenchmarkChain(b *testing.B) {
	w := newWorld(b, Config{})
	s := w.connect(1, "a")
	graph := chain(b, "a", 10)
	b.ResetTimer()
	for n := 0; n < b.N; n += 10 {
		w.submit(job(graph, `1`))
		for range 10 {
			report(b, s, `1`, grants(b, s, 1)...)
		}
	}
	perEntry(b, w)
}

func perEntry(b *testing.B, w *world) {
	b.StopTimer()
	stats := w.eng.Stats()
	b.ReportMetric(float64(stats.Commands)/float64(max(1, stats.Entries)), "commands/entry")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
