package cluster

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// SubmitJobs answers each job for itself: one that is refused does not keep the others out.
func (s *server) SubmitJobs(ctx context.Context, req *connect.Request[apiv1.SubmitJobsRequest]) (*connect.Response[apiv1.SubmitJobsResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SubmitJobs, s.submitJobs)
}

func (s *server) submitJobs(ctx context.Context, eng *engine.Engine, req *apiv1.SubmitJobsRequest) (*apiv1.SubmitJobsResponse, error) {
	if err := checkSubmit(req); err != nil {
		return nil, err
	}
	res := &apiv1.SubmitJobsResponse{Results: make([]*apiv1.SubmitResult, len(req.GetJobs()))}
	slab := make([]apiv1.SubmitResult, len(req.GetJobs()))
	jobs := make([]*fsmpb.SubmitJob, 0, len(slab))
	sent := make([]int, 0, len(slab)) // which result each submitted job has
	for i, j := range req.GetJobs() {
		res.Results[i] = &slab[i]
		id, job, err := s.submitOf(j)
		slab[i].Id = id.String()
		if err != nil {
			slab[i].Id, slab[i].Error = j.GetId(), s.info(err)
			continue
		}
		jobs, sent = append(jobs, job), append(sent, i)
	}
	answers, index, err := eng.Submit(ctx, jobs)
	if err != nil {
		return nil, err
	}
	res.Index = index
	for k, a := range answers {
		r := &slab[sent[k]]
		switch {
		case a.Refusal != nil:
			r.Error = s.info(a.Refusal)
		case a.Existing:
			r.Id, r.Existing = a.Job.String(), true
		}
	}
	return res, nil
}

func checkSubmit(req *apiv1.SubmitJobsRequest) error {
	if n := len(req.GetJobs()); n > submitJobsMax {
		return tooLarge("%d jobs in one call; send up to %d", n, submitJobsMax)
	}
	bytes := 0
	for _, j := range req.GetJobs() {
		bytes += len(j.GetGraph()) + len(j.GetInput().GetInline())
	}
	if bytes > submitBytesMax {
		return tooLarge("%d bytes of graphs and inputs in one call; send up to %d, in several calls", bytes, submitBytesMax)
	}
	return nil
}

// jobIn reads the id and namespace of a request, and refuses a job that this node knows to be of
// another namespace. A job that this node does not know is left to the state machine to judge.
func (s *server) jobIn(id, namespace string) (fsm.JobID, error) {
	job, err := jobIDOf(id)
	if err != nil {
		return job, err
	}
	ns, err := namespaceOf(namespace)
	if err != nil {
		return job, err
	}
	of, _, err := s.h.Machine().JobHead(job)
	switch {
	case errors.Is(err, fsm.ErrNotFound):
		return job, nil
	case err == nil && of != ns:
		return job, notIn(ns, job)
	}
	return job, err
}

func notIn(namespace string, id fsm.JobID) error {
	return refuse(fsm.CodeNotFound, "no job "+id.String()+" in namespace "+namespace)
}

// jobView reads a job of a namespace.
func jobView(v *fsm.View, id fsm.JobID, namespace string) (*fsm.JobView, error) {
	j, err := v.Job(id)
	if err != nil {
		return nil, err
	}
	if j.Namespace != namespace {
		return nil, notIn(namespace, id)
	}
	return j, nil
}

func (s *server) CancelJob(ctx context.Context, req *connect.Request[apiv1.CancelJobRequest]) (*connect.Response[apiv1.CancelJobResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.CancelJob,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.CancelJobRequest) (*apiv1.CancelJobResponse, error) {
			if len(q.GetReason()) > reasonMax {
				return nil, tooLarge("the reason has %d bytes; it may have %d", len(q.GetReason()), reasonMax)
			}
			id, err := s.jobIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			state, index, err := eng.Cancel(ctx, id, q.GetReason())
			return &apiv1.CancelJobResponse{State: state.String(), Index: index}, err
		})
}

func (s *server) RetryJob(ctx context.Context, req *connect.Request[apiv1.RetryJobRequest]) (*connect.Response[apiv1.RetryJobResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.RetryJob,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.RetryJobRequest) (*apiv1.RetryJobResponse, error) {
			id, err := s.jobIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			state, index, err := eng.Retry(ctx, id)
			return &apiv1.RetryJobResponse{State: state.String(), Index: index}, err
		})
}

func (s *server) PurgeJob(ctx context.Context, req *connect.Request[apiv1.PurgeJobRequest]) (*connect.Response[apiv1.PurgeJobResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.PurgeJob,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.PurgeJobRequest) (*apiv1.PurgeJobResponse, error) {
			id, err := s.jobIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			index, err := eng.Purge(ctx, id)
			return &apiv1.PurgeJobResponse{Index: index}, err
		})
}

func stale(c apiv1.Consistency) bool {
	return planted.StaleRead || c == apiv1.Consistency_CONSISTENCY_STALE
}

func (s *server) ListJobs(ctx context.Context, req *connect.Request[apiv1.ListJobsRequest]) (*connect.Response[apiv1.ListJobsResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListJobs, listJobs)
}

func listJobs(v *fsm.View, q *apiv1.ListJobsRequest) (*apiv1.ListJobsResponse, error) {
	ns, size, after, err := pageOf(q, jobIDOf)
	if err != nil {
		return nil, err
	}
	filter := fsm.JobFilter{Namespace: ns, Workflow: q.GetWorkflow()}
	if q.GetState() != "" {
		state, ok := fsm.ParseJobState(q.GetState())
		if !ok {
			return nil, invalid("state %.32q: use RUNNING, PAUSED, SUCCESS, FAILURE or CANCELED", q.GetState())
		}
		filter.State = state
	}
	jobs, next, err := v.Jobs(filter, after, size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListJobsResponse{Index: v.Index()}
	for _, j := range jobs {
		res.Jobs = append(res.Jobs, jobStatus(j))
	}
	if !next.IsZero() {
		res.NextPageToken = next.String()
	}
	return res, nil
}

// ListTasks shows, on the leader, the progress of running tasks too.
func (s *server) ListTasks(ctx context.Context, req *connect.Request[apiv1.ListTasksRequest]) (*connect.Response[apiv1.ListTasksResponse], error) {
	if stale(req.Msg.GetConsistency()) {
		return reading(ctx, s, req, true, apiv1connect.FanfoldClient.ListTasks, listTasks)
	}
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ListTasks,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.ListTasksRequest) (*apiv1.ListTasksResponse, error) {
			if _, err := eng.ReadIndex(ctx); err != nil {
				return nil, err
			}
			v := s.h.Machine().View()
			defer v.Close()
			res, err := listTasks(v, q)
			if err != nil {
				return nil, err
			}
			return res, addTaskProgress(ctx, eng, res.GetTasks())
		})
}

func listTasks(v *fsm.View, q *apiv1.ListTasksRequest) (*apiv1.ListTasksResponse, error) {
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return nil, err
	}
	ns, size, after, err := pageOf(q, taskToken)
	if err != nil {
		return nil, err
	}
	if q.GetPageToken() != "" {
		after.Job = id
	}
	state, err := taskStateOf(q.GetState())
	if err != nil {
		return nil, err
	}
	if of, _, err := v.JobHead(id); err != nil {
		return nil, err
	} else if of != ns {
		return nil, notIn(ns, id)
	}
	tasks, next, err := v.Tasks(id, q.GetStep(), state, after, size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListTasksResponse{Index: v.Index()}
	for i := range tasks {
		res.Tasks = append(res.Tasks, taskStatus(&tasks[i]))
	}
	if !next.Job.IsZero() {
		res.NextPageToken = fmt.Sprintf("%d.%d", next.Step, next.Shard)
	}
	return res, nil
}

func taskStateOf(name string) (fsm.TaskState, error) {
	if name == "" {
		return 0, nil
	}
	if s, ok := fsm.ParseTaskState(name); ok {
		return s, nil
	}
	return 0, invalid("state %.32q: use a task's state, for instance STARTED, RETRY or DEAD", name)
}

// taskToken reads the page token of ListTasks: step.shard of the last task of the page before.
func taskToken(token string) (after fsm.TaskRef, err error) {
	_, err = fmt.Sscanf(token, "%d.%d", &after.Step, &after.Shard)
	return after, err
}
