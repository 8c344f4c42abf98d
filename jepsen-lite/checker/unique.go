package checker

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// uniqueKey names a unique key: equal keys of different workflows never meet.
type uniqueKey struct{ namespace, workflow, key string }

// unique folds the log over who holds which unique key. Judged are keys that a job holds until its end; other modes
// and a period free a key by other rules.
func unique(all []event) evidence.Verdict {
	v := evidence.Verdict{ID: "S9", Rule: "a unique key has at most one living holder, and who is told of another job is told of the holder"}
	graph := graphs(all)
	type end struct {
		job   fsm.JobID
		index uint64
	}
	ends := map[end]bool{} // which command of an entry has ended a job is not said: before another submission, it may be
	for _, e := range all {
		if e.what == ended {
			ends[end{e.job, e.index}] = true
		}
	}
	holder := map[uniqueKey]fsm.JobID{}
	keyOf := map[fsm.JobID]uniqueKey{}
	for _, e := range all {
		switch e.what {
		case submitted:
			k, ok := uniqueOf(e.submit)
			if g := graph[e.job]; !ok || g == nil {
				continue
			} else {
				k.workflow = g.Name
			}
			v.Count++
			if was, held := holder[k]; held && !ends[end{was, e.index}] {
				v.Violate(fmt.Sprintf("index %d: job %s is made with the unique key %q, which job %s holds", e.index, e.job, k.key, was))
			}
			holder[k], keyOf[e.job] = e.job, k
		case deduplicated:
			k, held := keyOf[e.job]
			if !held {
				continue // by an idempotency key, or of a mode that is not judged
			}
			v.Count++
			if holder[k] != e.job && string(e.submit.Job) != string(e.job[:]) && e.submit.Key == "" {
				v.Violate(fmt.Sprintf("index %d: a submission with the unique key %q is answered with job %s, which does not hold it", e.index, k.key, e.job))
			}
		case retried:
			if k, ok := keyOf[e.job]; ok {
				holder[k] = e.job
			}
		case ended:
			if k, ok := keyOf[e.job]; ok && holder[k] == e.job {
				delete(holder, k)
			}
		}
	}
	return v
}

// uniqueOf is the key of a submission that is judged. The workflow is left out.
func uniqueOf(c *fsmpb.SubmitJob) (k uniqueKey, ok bool) {
	var o fsmpb.JobOptions
	if proto.Unmarshal(c.Options, &o) != nil || o.Unique == nil {
		return k, false
	}
	u := o.Unique
	ok = u.Mode == fsmpb.Unique_UNIQUE && u.Scope != fsmpb.Unique_UNTIL_START && u.PeriodMs == 0 && u.OnConflict != fsmpb.Unique_REPLACE
	return uniqueKey{namespace: c.Namespace, key: u.Key}, ok
}
