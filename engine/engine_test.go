package engine

import (
	"testing"
	"testing/synctest"

	"github.com/fanfold/fanfold/fsm"
)

func TestEngine_SubmittedJobRunsToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		s := w.connect(4, "a")
		id := w.submit(job(chain(t, "a", 3), `1`))[0].Job
		waiter := w.eng.Await()
		if err := waiter.Add(w.ctx(), id); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			report(t, s, `2`, grants(t, s, 1)...)
		}
		<-waiter.Ready()
		if f, err := waiter.Take(); err != nil || len(f) != 1 || f[0] != (fsm.Finished{Job: id, State: fsm.JobSuccess}) {
			t.Fatalf("finished %v, %v", f, err)
		}
		if j := w.job(id); j.State != fsm.JobSuccess {
			t.Fatalf("state %v", j.State)
		}
	})
}
