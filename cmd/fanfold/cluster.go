package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) cluster() *cobra.Command {
	return group("cluster", "See and change the cluster", a.clusterStatus(), a.clusterHash(), a.clusterAdd(),
		a.clusterRemove(), a.clusterTransfer(), a.clusterBudget())
}

func (a *app) clusterStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show nodes, leader, log position and counters", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			status, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ClusterStatus, &apiv1.ClusterStatusRequest{})
			if err != nil {
				return err
			}
			return a.printer().Message(status, func(rows *output.Rows) { clusterTable(rows, status) })
		},
	}
}

func clusterTable(rows *output.Rows, s *apiv1.ClusterStatusResponse) {
	rows.Add("cluster", output.Dash(s.GetClusterId()))
	rows.Add("answered by", s.GetNodeId())
	rows.Add("leader", output.Dash(s.GetLeaderId()))
	rows.Add("term", s.GetTerm())
	rows.Add("applied index", s.GetAppliedIndex())
	rows.Add("log", s.GetFirstLogIndex(), "to", s.GetLastLogIndex())
	rows.Add()
	rows.Add("NODE", "ROLE", "REACHABLE", "APPLIED", "API", "RAFT")
	for _, node := range s.GetNodes() {
		rows.Add(node.GetId(), role(node), reachable(s, node), applied(s, node), node.GetApiAddress(), node.GetRaftAddress())
	}
	rows.Add()
	countersTable(rows, s.GetCounters())
}

// countersTable prints every counter, by what it is about.
func countersTable(rows *output.Rows, c *apiv1.Counters) {
	rows.Add("JOBS", "submitted", c.GetJobsSubmitted(), "succeeded", c.GetJobsSucceeded(), "failed", c.GetJobsFailed(), "canceled", c.GetJobsCanceled())
	rows.Add("", "expired", c.GetJobsExpired(), "purged", c.GetJobsPurged(), "discarded", c.GetJobsDiscarded())
	rows.Add("ATTEMPTS", "started", c.GetGrants(), "accepted", c.GetCompletions(), "failed", c.GetFailures(), "lost", c.GetCrashes())
	rows.Add("REPORTS", "stale", c.GetStale(), "repeated", c.GetDuplicates(), "handed back", c.GetReleases(), "dead", c.GetDead())
	rows.Add("", "snoozed", c.GetSnoozes(), "rate limited", c.GetRateLimited(), "discarded", c.GetDiscards(), "saves", c.GetSaves())
	rows.Add("LOG LINES", "stored", c.GetLogLines(), "dropped", c.GetLogLinesDropped())
	rows.Add("WORKERS", "opened", c.GetSessionsOpened(), "lost", c.GetSessionsLost())
	rows.Add("UNIQUE", "deduplicated", c.GetDeduplicated(), "replaced", c.GetReplaced())
	rows.Add("BATCHES", "created", c.GetBatchesCreated(), "callbacks", c.GetBatchCallbacks())
	rows.Add("SCHEDULES", "created", c.GetSchedulesCreated(), "deleted", c.GetSchedulesDeleted())
	rows.Add("TICKS", "fired", c.GetTicksFired(), "skipped", c.GetTicksSkipped(), "missed", c.GetTicksMissed(), "refused", c.GetTicksRefused())
	rows.Add("WEBHOOKS", "delivered", c.GetDeliveries(), "failed", c.GetDeliveryFailures())
	rows.Add("TIMERS", "fired", c.GetTimersFired())
}

func role(node *apiv1.Node) string {
	switch {
	case node.GetLeader():
		return "leader"
	case node.GetVoter():
		return "follower"
	}
	return "learner"
}

// reachable is "-" where the answering node cannot know it: only a leader talks to all.
func reachable(s *apiv1.ClusterStatusResponse, node *apiv1.Node) string {
	if s.GetNodeId() != s.GetLeaderId() && node.GetId() != s.GetNodeId() && !node.GetLeader() {
		return "-"
	}
	return strconv.FormatBool(node.GetReachable())
}

// applied is "-" but for the answering node, which knows its own index alone.
func applied(s *apiv1.ClusterStatusResponse, node *apiv1.Node) string {
	if node.GetId() != s.GetNodeId() {
		return "-"
	}
	return strconv.FormatUint(node.GetAppliedIndex(), 10)
}
