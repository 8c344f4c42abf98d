package fsm

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// setWebhook makes a webhook source or endpoint, or changes one that there is: all but its counts, and its
// secrets when none are given. Proposed for Client.SetWebhookSource and SetWebhookEndpoint.
//
// Refusals: INVALID, TOO_LARGE (bounds of webhook.go), TYPE_MISMATCH (of a source's graph).
// Again: changes nothing.
func setWebhook(t *tx, c *fsmpb.SetWebhook) Answer {
	ns := c.GetName().GetNamespace()
	if !validName(ns) {
		return no(CodeInvalid, "the namespace is 1 to 255 bytes without control characters")
	}
	switch k := c.GetName().GetKind().(type) {
	case *fsmpb.WebhookName_Source:
		if c.Source != nil && c.Endpoint == nil && validName(k.Source) {
			return t.setHookSource(ns, k.Source, c)
		}
	case *fsmpb.WebhookName_Endpoint:
		if c.Endpoint != nil && c.Source == nil && validName(k.Endpoint) {
			return t.setHookEndpoint(ns, k.Endpoint, c)
		}
	}
	return no(CodeInvalid, "a webhook is a source or an endpoint, with a name of 1 to 255 bytes and what belongs to it")
}

func (t *tx) setHookSource(ns, name string, c *fsmpb.SetWebhook) Answer {
	p := c.Source
	if r := checkSource(p); r != nil {
		return Answer{Refusal: r}
	}
	if _, err := parseOptions(p.Options); err != nil {
		return no(CodeInvalid, "the options cannot be read: %v", err)
	}
	sum := sha256.Sum256(p.Graph)
	hash := graphHash(sum[:16])
	graph, err := t.graph(hash, p.Graph)
	if err != nil {
		return no(CodeInvalid, "the graph cannot be used: %v", err)
	}
	if r := t.checkKinds(graph, ns); r != nil {
		return Answer{Refusal: r}
	}
	s := t.source(ns, name)
	created := s == nil
	if created {
		if t.m.hooks.sources >= sourcesMax {
			return no(CodeTooLarge, "the cluster has %d webhook sources, and at most that many: delete one that is not used", sourcesMax)
		}
		s = &hookSource{namespace: ns, name: name, createdMS: t.now}
	}
	secrets, r := nextSecrets(s.secrets, c)
	if r != nil {
		return Answer{Refusal: r}
	}
	if created {
		s.id = t.nextSeq()
		t.m.hooks.sources++
	}
	if created || s.graph != hash {
		t.refer(hash, p.Graph)
		if !created {
			t.unrefer(s.graph)
		}
	}
	s.graph, s.secrets, s.scheme, s.events = hash, secrets, p.Scheme, p.Events
	s.toleranceMS = cmp.Or(p.ToleranceMs, toleranceDefaultMS)
	s.maxBytes = cmp.Or(p.MaxBytes, hookBytesDefault)
	s.options, s.retainMS = p.Options, p.RetainMs
	t.setSource(s)
	return Answer{Created: created}
}

func checkSource(p *fsmpb.WebhookSource) *Refusal {
	switch {
	case !slices.Contains([]string{SchemeStandard, SchemeGitHub, SchemeStripe}, p.Scheme):
		return refuse(CodeInvalid, "the scheme is %q: use standard, github or stripe", truncate(p.Scheme, 64))
	case p.ToleranceMs < 0 || p.ToleranceMs > toleranceMaxMS:
		return refuse(CodeInvalid, "the tolerance is %d ms: give up to %d, 0 for 5 minutes", p.ToleranceMs, int64(toleranceMaxMS))
	case p.MaxBytes > hookBytesMax:
		return refuse(CodeInvalid, "a body of %d bytes is too large: allow up to %d", p.MaxBytes, hookBytesMax)
	case p.RetainMs < 0 || p.RetainMs > dag.MaxDurationMS:
		return refuse(CodeInvalid, "retain_ms is %d: give milliseconds up to %d, 0 for the default", p.RetainMs, int64(dag.MaxDurationMS))
	}
	return checkFilter("events", p.Events)
}

func (t *tx) setHookEndpoint(ns, name string, c *fsmpb.SetWebhook) Answer {
	c2 := c.Endpoint
	if r := checkEndpoint(c2); r != nil {
		return Answer{Refusal: r}
	}
	h := &t.m.hooks
	p := h.byName[ns][name]
	created := p == nil
	if created {
		if len(h.byID) >= endpointsMax || len(h.ordered[ns]) >= endpointsInMax {
			return no(CodeTooLarge, "the namespace has %d webhook endpoints of %d, the cluster %d of %d: delete one that is not used",
				len(h.ordered[ns]), endpointsInMax, len(h.byID), endpointsMax)
		}
		p = &hookEndpoint{namespace: ns, name: name, createdMS: t.now}
	}
	secrets, r := nextSecrets(p.secrets, c)
	if r != nil {
		return Answer{Refusal: r}
	}
	if created {
		p.id = t.nextSeq()
		h.add(p)
	}
	if p.url != c2.Url {
		p.disabled, p.notBefore = "", 0 // what the old address has said does not bind the new one
	}
	p.url, p.secrets, p.events, p.workflows = c2.Url, secrets, c2.Events, c2.Workflows
	p.parallel = cmp.Or(c2.Parallel, parallelDefault)
	p.timeoutMS = cmp.Or(c2.TimeoutMs, timeoutDefaultMS)
	h.touch(p)
	t.res.Webhooks = true
	return Answer{Created: created}
}

func checkEndpoint(p *fsmpb.WebhookEndpoint) *Refusal {
	if r := checkHookURL(p.Url); r != nil {
		return r
	}
	for _, e := range p.Events {
		if !slices.Contains(Events, e) {
			return refuse(CodeInvalid, "there is no event %q: choose from %v", truncate(e, 64), Events)
		}
	}
	switch {
	case p.Parallel > parallelMax:
		return refuse(CodeInvalid, "%d deliveries at once are too many: allow up to %d, 0 for %d", p.Parallel, parallelMax, parallelDefault)
	case p.TimeoutMs != 0 && (p.TimeoutMs < timeoutMinMS || p.TimeoutMs > timeoutMaxMS):
		return refuse(CodeInvalid, "the timeout is %d ms: give %d to %d, 0 for %d", p.TimeoutMs, timeoutMinMS, timeoutMaxMS, timeoutDefaultMS)
	}
	if r := checkFilter("events", p.Events); r != nil {
		return r
	}
	return checkFilter("workflows", p.Workflows)
}
