package fsm

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func sourceName(ns, name string) *fsmpb.WebhookName {
	return &fsmpb.WebhookName{Namespace: ns, Kind: &fsmpb.WebhookName_Source{Source: name}}
}

func endpointName(ns, name string) *fsmpb.WebhookName {
	return &fsmpb.WebhookName{Namespace: ns, Kind: &fsmpb.WebhookName_Endpoint{Endpoint: name}}
}

func changeHook(name *fsmpb.WebhookName, change fsmpb.WebhookChange) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_ChangeWebhook{ChangeWebhook: &fsmpb.ChangeWebhook{Name: name, Change: change}}}
}

// secretOf makes a secret of a word.
func secretOf(word string) []byte {
	s := sha256.Sum256([]byte(word))
	return s[:]
}

func setSource(name string, g *dag.Graph, secrets ...string) *fsmpb.Command {
	c := &fsmpb.SetWebhook{Name: sourceName("default", name), Source: &fsmpb.WebhookSource{Scheme: SchemeStandard, Graph: dag.Encode(g)}}
	for _, s := range secrets {
		c.Secrets = append(c.Secrets, secretOf(s))
	}
	return &fsmpb.Command{Kind: &fsmpb.Command_SetWebhook{SetWebhook: c}}
}

func setEndpoint(name string, events ...string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_SetWebhook{SetWebhook: &fsmpb.SetWebhook{
		Name: endpointName("default", name), Secrets: [][]byte{secretOf(name)},
		Endpoint: &fsmpb.WebhookEndpoint{Url: "https://example.com/" + name, Events: events},
	}}}
}

func receive(source, id, job string) *fsmpb.Command {
	j := jobID(job)
	return &fsmpb.Command{Kind: &fsmpb.Command_ReceiveWebhook{ReceiveWebhook: &fsmpb.ReceiveWebhook{
		Namespace: "default", Source: source, Delivery: id, Job: j[:], Input: inline(`{"payload":1}`),
	}}}
}

func reportOf(d *DeliveryView, status uint32, after int64) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_ReportDelivery{ReportDelivery: &fsmpb.ReportDelivery{
		Delivery: d.Ref.Proto(), Attempt: d.Attempts + 1, Status: status, RetryAfterMs: after,
	}}}
}

func (h *harness) deliveries(endpoint string) []*DeliveryView {
	h.t.Helper()
	v := h.m.View()
	defer v.Close()
	all, _, err := v.Deliveries("default", endpoint, 0, 0, 5000)
	if err != nil {
		h.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

// accepted fails the test when an answer is a refusal.
func (h *harness) accepted(r *Result) *Result {
	h.t.Helper()
	for _, a := range r.Answers {
		if a.Refusal != nil {
			h.t.Fatal(a.Refusal)
		}
	}
	return r
}

func TestReceiveWebhook_AMessageIsOneJobHoweverOftenItComes(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setSource("s", chain(t, 1), "one")))
	r := h.accepted(h.apply(receive("s", "m1", "a"), receive("s", "m1", "b"), receive("s", "m2", "c")))
	if a := r.Answers[1]; !a.Existing || a.Job != jobID("a") || r.Answers[2].Existing {
		t.Fatalf("answers %+v", r.Answers)
	}
	h.apply(cancel(jobID("a")))
	h.apply(purge(jobID("a"))) // the message is remembered longer than its job
	h.now += receiptKeepMS - 1
	if a := h.accepted(h.apply(receive("s", "m1", "d"))).Answers[0]; !a.Existing {
		t.Fatal("a message became a second job within 7 days")
	}
	h.now++
	h.apply()
	if a := h.accepted(h.apply(receive("s", "m1", "e"))).Answers[0]; a.Existing {
		t.Fatal("a message is remembered for longer than 7 days")
	}
	h.reopen()
	h.replay(2)
}

func TestDelivery_IsWrittenInTheEntryThatEndedTheJob(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setEndpoint("all"), setEndpoint("bad", EventJobFailure), openWorker("w", 5, "t")))
	r := h.apply(submit("a", chain(t, 1), `1`), submit("b", chain(t, 1), `1`))
	r = h.apply(complete(r.Grants[0], `2`), failure(r.Grants[1], "no", true))
	if !r.Webhooks {
		t.Fatal("the result does not say that something is to be delivered")
	}
	var got []string
	for _, d := range h.deliveries("all") {
		var body struct {
			Type, Timestamp string
			Data            struct {
				Job, State string
				Error      *struct{ Message, Step string }
			}
		}
		if err := json.Unmarshal(d.Body, &body); err != nil || body.Type != d.Event || body.Timestamp != stamp(h.now) {
			t.Fatalf("%s: %v", d.Body, err)
		}
		got = append(got, fmt.Sprint(body.Type, " ", body.Data.State, " ", body.Data.Job == d.Job.String(), " ", body.Data.Error))
	}
	want := []string{"job.success SUCCESS true <nil>", "task.dead DEAD true &{no s0}", "job.failure FAILURE true &{no s0}"}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i][:12]) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if n := len(h.deliveries("bad")); n != 1 {
		t.Fatalf("the endpoint for failures has %d deliveries", n)
	}
	h.replay(1)
}

func TestReportDelivery_IsTriedForThreeDaysAndThenGivenUp(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setEndpoint("e")))
	h.accepted(h.apply(changeHook(endpointName("default", "e"), fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST)))
	start, last := h.now, int64(0)
	for n := 1; ; n++ {
		d := h.deliveries("e")[0]
		if d.State == DeliveryFailed {
			if h.now != start+giveUpMS || n < 9 {
				t.Fatalf("given up after %d attempts and %d ms", n-1, h.now-start)
			}
			break
		}
		if wait := d.DueMS - h.now; n > 1 && wait < last {
			t.Fatalf("wait %d is %d ms, the one before %d", n, wait, last)
		} else if n < 8 {
			last = wait
		} else {
			last = 0
		}
		h.now = d.DueMS
		h.accepted(h.apply(reportOf(d, 500, 0)))
	}
	d := h.deliveries("e")[0]
	if r := h.apply(reportOf(d, 200, 0)); r.Answers[0].Refusal == nil || r.Answers[0].Refusal.Code != CodeStale {
		t.Fatal("a report of a delivery that is over was taken")
	}
	h.accepted(h.apply(&fsmpb.Command{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: &fsmpb.ReplayDelivery{Namespace: "default", Endpoint: "e"}}}))
	if d := h.deliveries("e")[0]; d.State != DeliveryPending || d.DueMS != h.now {
		t.Fatalf("after the replay %+v", d)
	}
	h.replay(1)
}

func TestReportDelivery_RetryAfterHoldsTheEndpoint(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setEndpoint("e")))
	test := changeHook(endpointName("default", "e"), fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST)
	h.accepted(h.apply(test, test))
	h.accepted(h.apply(reportOf(h.deliveries("e")[0], 429, 600_000)))
	v := h.m.View()
	defer v.Close()
	all, err := v.Endpoints("default")
	if err != nil || all[0].NotBeforeMS != h.now+600_000 || h.deliveries("e")[0].DueMS != h.now+600_000 {
		t.Fatalf("%+v, %v", all[0], err)
	}
}

func TestReportDelivery_GoneDisablesTheEndpoint(t *testing.T) {
	h := newHarness(t)
	name := endpointName("default", "e")
	test := changeHook(name, fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST)
	h.accepted(h.apply(setEndpoint("e"), test, test))
	h.accepted(h.apply(reportOf(h.deliveries("e")[0], 410, 0)))
	h.apply(submit("a", chain(t, 1), `1`))
	h.apply(cancel(jobID("a")))
	if n := len(h.deliveries("e")); n != 2 {
		t.Fatalf("a disabled endpoint got a delivery: %d", n)
	}
	if r := h.apply(test); r.Answers[0].Refusal == nil {
		t.Fatal("a disabled endpoint was tested")
	}
	h.accepted(h.apply(changeHook(name, fsmpb.WebhookChange_WEBHOOK_CHANGE_RESUME), test))
	h.replay(1)
}

func TestDelivery_ListsAreBounded(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setEndpoint("e")))
	test := changeHook(endpointName("default", "e"), fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST)
	for range 3 {
		h.accepted(h.apply(slices.Repeat([]*fsmpb.Command{test}, 500)...))
		var reports []*fsmpb.Command
		for _, d := range h.deliveries("e") {
			if d.State == DeliveryPending {
				reports = append(reports, reportOf(d, 204, 0))
			}
		}
		h.accepted(h.apply(reports...))
	}
	if n := len(h.deliveries("e")); n != endedMax {
		t.Fatalf("%d deliveries are kept", n)
	}
	p := h.m.hooks.byName["default"]["e"]
	p.pending += pendingMax // as if so many were
	h.m.begin()
	h.m.tx.res = new(Result)
	if ref := h.m.tx.deliver(p, EventTest, JobID{}, nil); ref != (DeliveryRef{}) || p.dropped != 1 {
		t.Fatalf("a delivery above the bound was made")
	}
	p.pending -= pendingMax
	p.dropped = 0
	p.dirty, h.m.hooks.changed, h.m.tx = false, nil, nil
	h.replay(1)
}

func TestSetWebhook_SecretsRotate(t *testing.T) {
	h := newHarness(t)
	g := chain(t, 1)
	if r := h.apply(setSource("s", g)); r.Answers[0].Refusal == nil {
		t.Fatal("a source without a secret was made")
	}
	secrets := func() (words []string) {
		v := h.m.View()
		defer v.Close()
		s, err := v.Source("default", "s")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range s.Secrets {
			for _, w := range []string{"one", "two", "three"} {
				if string(b) == string(secretOf(w)) {
					words = append(words, w)
				}
			}
		}
		return words
	}
	rotate := func(w string) *fsmpb.Command {
		c := setSource("s", g, w)
		c.GetSetWebhook().Rotate = true
		return c
	}
	for _, step := range []struct {
		c    *fsmpb.Command
		want string
	}{
		{setSource("s", g, "one"), "[one]"}, {setSource("s", g), "[one]"}, {rotate("two"), "[two one]"},
		{rotate("three"), "[three two]"}, {setSource("s", g, "three"), "[three]"},
	} {
		h.accepted(h.apply(step.c))
		if got := fmt.Sprint(secrets()); got != step.want {
			t.Fatalf("secrets %s, want %s", got, step.want)
		}
	}
	if strings.Contains(h.m.Dump(), string(secretOf("three"))) {
		t.Fatal("the dump has a secret")
	}
}

func TestDeliveryID_ComesBack(t *testing.T) {
	for _, cluster := range []string{"", "00112233445566778899aabbccddeeff"} {
		want := DeliveryRef{Endpoint: 12, Seq: 1 << 40}
		if got, ok := ParseDeliveryID(DeliveryID(cluster, want)); !ok || got != want {
			t.Errorf("%s came back as %+v", DeliveryID(cluster, want), got)
		}
	}
	for _, bad := range []string{"", "msg_", "msg_00000000_1", "msg_00000000_1_2x", "msg_00000000_01_2", "msg_000000000_1_2"} {
		if _, ok := ParseDeliveryID(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

// webhook changes sources and endpoints, receives messages and reports deliveries.
func (s *script) webhook(t *rapid.T) {
	name := rapid.SampledFrom([]string{"h1", "h2"}).Draw(t, "name")
	s.n++
	switch rapid.IntRange(0, 9).Draw(t, "hook") {
	case 0:
		s.apply(setSource(name, rapid.SampledFrom(graphs(s.h.t)).Draw(t, "graph"), "x"))
	case 1:
		s.apply(setEndpoint(name, rapid.SliceOfNDistinct(rapid.SampledFrom(Events), 0, 3, rapid.ID).Draw(t, "events")...))
	case 2:
		kind := rapid.SampledFrom([]*fsmpb.WebhookName{sourceName("default", name), endpointName("default", name)}).Draw(t, "kind")
		s.apply(changeHook(kind, fsmpb.WebhookChange(rapid.IntRange(1, 4).Draw(t, "change"))))
	case 3, 4:
		job := fmt.Sprint("hook", s.n)
		s.names[jobID(job)] = job
		id := strconv.Itoa(rapid.IntRange(1, 9).Draw(t, "id"))
		if a := s.apply(receive(name, id, job)).Answers[0]; a.Refusal == nil && !a.Existing {
			s.jobs = append(s.jobs, a.Job)
		}
	case 5:
		s.apply(&fsmpb.Command{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: &fsmpb.ReplayDelivery{Namespace: "default", Endpoint: name}}})
	case 6:
		s.h.now += 300_000
		s.apply()
	default:
		v := s.h.m.View()
		all, _, err := v.Deliveries("default", name, 0, 0, 5)
		v.Close()
		if err != nil || len(all) == 0 {
			t.Skip()
		}
		d := rapid.SampledFrom(all).Draw(t, "delivery")
		c := reportOf(d, rapid.SampledFrom([]uint32{200, 204, 500, 0, 429, 410}).Draw(t, "status"), 0)
		if rapid.Bool().Draw(t, "replay") {
			c = &fsmpb.Command{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: &fsmpb.ReplayDelivery{Namespace: "default", Delivery: d.Ref.Proto()}}}
		}
		s.apply(c)
	}
}

// hook makes the commands of webhooks for scripts.
func (r *runner) hook(t *testing.T, d *datadriven.TestData, who string) *fsmpb.Command {
	name, n, _ := strings.Cut(who, "/")
	var at *DeliveryView
	if i, err := strconv.Atoi(n); err == nil {
		at = r.h.deliveries(name)[i-1]
	}
	split := func(key string) []string {
		return strings.FieldsFunc(arg(d, key), func(c rune) bool { return c == ',' })
	}
	switch d.Cmd {
	case "source":
		c := setSource(who, r.graphs[arg(d, "graph")], split("secrets")...)
		c.GetSetWebhook().Source.Scheme = arg(d, "scheme")
		return c
	case "endpoint":
		c := setEndpoint(who, split("events")...)
		c.GetSetWebhook().Endpoint.Url, c.GetSetWebhook().Endpoint.Workflows = arg(d, "url"), split("workflows")
		c.GetSetWebhook().Rotate = arg(d, "rotate") != ""
		return c
	case "receive":
		r.names[jobID(arg(d, "job")).String()] = arg(d, "job")
		return receive(who, arg(d, "id"), arg(d, "job"))
	case "deliver":
		c := reportOf(at, uint32(number(d, "status")), number(d, "after"))
		if a := number(d, "attempt"); a > 0 {
			c.GetReportDelivery().Attempt = uint32(a)
		}
		return c
	case "replay":
		c := &fsmpb.ReplayDelivery{Namespace: "default", Endpoint: name}
		if at != nil {
			c.Delivery = at.Ref.Proto()
		}
		return &fsmpb.Command{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: c}}
	}
	change := fsmpb.WebhookChange(fsmpb.WebhookChange_value["WEBHOOK_CHANGE_"+strings.ToUpper(arg(d, "change"))])
	if arg(d, "endpoint") != "" {
		return changeHook(endpointName("default", who), change)
	}
	return changeHook(sourceName("default", who), change)
}
