package cluster

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// FuzzEdge feeds the translators with messages of any content: they answer or refuse, with a reason,
// and what they let through can be marshalled for the log.
func FuzzEdge(f *testing.F) {
	seed := func(m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(&apiv1.WorkRequest{Hello: testHello(3)})
	seed(&apiv1.WorkRequest{Reports: []*apiv1.Report{{}, {Fence: &apiv1.Fence{Index: 1}, Outcome: &apiv1.Report_Release{Release: true}},
		{Outcome: &apiv1.Report_Result{}}, {Outcome: &apiv1.Report_Failure{}}}})
	seed(&apiv1.SubmitJobsRequest{Jobs: []*apiv1.Job{{}, {Graph: testGraph(f, "a"), Input: &apiv1.Value{Inline: []byte(`[1]`)}},
		{Graph: testGraph(f, "a"), Input: &apiv1.Value{Blob: &apiv1.Blob{Id: make([]byte, 16), Size: 1, Sha256: make([]byte, 32)}}}}})
	s := &server{graphs: newGraphCache()}
	f.Fuzz(func(t *testing.T, b []byte) {
		var work apiv1.WorkRequest
		if proto.Unmarshal(b, &work) == nil {
			if work.GetHello() != nil {
				open, err := openOf(work.GetHello())
				checkTranslated(t, open, err)
			}
			cmds, fences, wrong := commandsOf(1, work.GetReports())
			if len(cmds) != len(fences) || len(cmds)+len(wrong.Fences) != len(work.GetReports()) || len(wrong.Answers) != len(wrong.Fences) {
				t.Fatalf("%d reports became %d commands, %d fences, %d refusals", len(work.GetReports()), len(cmds), len(fences), len(wrong.Fences))
			}
			for _, c := range cmds {
				checkTranslated(t, c, nil)
			}
		}
		var submit apiv1.SubmitJobsRequest
		if proto.Unmarshal(b, &submit) == nil {
			for _, j := range submit.GetJobs() {
				_, cmd, err := s.submitOf(j)
				checkTranslated(t, cmd, err)
			}
		}
	})
}

func checkTranslated(t *testing.T, m proto.Message, err error) {
	t.Helper()
	if err != nil {
		var refusal *fsm.Refusal
		if !errors.As(err, &refusal) || refusal.Message == "" || wireCodes[string(refusal.Code)] == 0 {
			t.Fatalf("not a refusal with a reason: %v", err)
		}
		return
	}
	if _, err := proto.Marshal(m); err != nil {
		t.Fatal(err)
	}
}
