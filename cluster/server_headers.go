package cluster

import (
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

const (
	headersMax     = 32
	headersByteMax = 8 << 10
)

// fillHeaders checks a job's headers: they go with every one of its assignments.
func fillHeaders(out *fsmpb.JobOptions, o *apiv1.JobOptions) error {
	if len(o.GetHeaders()) > headersMax {
		return tooLarge("the job has %d headers and may have %d: put the data into its input", len(o.GetHeaders()), headersMax)
	}
	size := 0
	for k, v := range o.GetHeaders() {
		if k == "" || len(k) > nameMax {
			return invalid("header %.64q: a name has 1 to %d bytes", k, nameMax)
		}
		size += len(k) + len(v)
	}
	if size > headersByteMax {
		return tooLarge("the job's headers have %d bytes and may have %d: put the data into its input", size, headersByteMax)
	}
	out.Headers = o.GetHeaders()
	return nil
}
