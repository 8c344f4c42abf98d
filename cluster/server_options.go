package cluster

import (
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// optionsOf translates and checks the options of a job, and encodes them as the log carries them. A job
// without options has none at all.
func optionsOf(o *apiv1.JobOptions, input *fsmpb.Value) ([]byte, error) {
	if o == nil {
		return nil, nil
	}
	out := new(fsmpb.JobOptions)
	if err := fillFlow(out, o); err != nil {
		return nil, err
	}
	if err := fillHeaders(out, o); err != nil {
		return nil, err
	}
	var err error
	if out.Unique, err = uniqueOf(o.GetUnique(), input); err != nil {
		return nil, err
	}
	if o.GetBatch() != "" {
		id, err := batchIDOf(o.GetBatch())
		if err != nil {
			return nil, err
		}
		out.Batch = id[:]
	}
	if err := fillTimes(out, o); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(out)
}
