package fsm

import (
	"bytes"
	"slices"
	"strings"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Bounds of webhooks. At a bound the command is refused, unless a line says otherwise.
const (
	sourcesMax   = 1000 // of the cluster
	endpointsMax = 1000 // of the cluster
	// endpointsInMax bounds what the end of one job may cost: a delivery for each.
	endpointsInMax = 32 // of a namespace
	secretsMax     = 2  // live at once: the old one and the new one
	secretBytesMin = 16
	secretBytesMax = 256
	hookFilterMax  = 100 // events or workflows that a source or an endpoint names
	hookURLMax     = 2048

	toleranceDefaultMS = 300_000
	toleranceMaxMS     = 24 * 3_600_000
	hookBytesDefault   = 1 << 20
	hookBytesMax       = 25 << 20
	parallelDefault    = 4
	parallelMax        = 64
	timeoutDefaultMS   = 15_000
	timeoutMinMS       = 100
	timeoutMaxMS       = 60_000
)

// Schemes by which senders sign.
const (
	SchemeStandard = "standard"
	SchemeGitHub   = "github"
	SchemeStripe   = "stripe"
)

// Events that are delivered to endpoints.
const (
	EventJobSuccess  = "job.success"
	EventJobFailure  = "job.failure"
	EventJobCanceled = "job.canceled"
	EventTaskDead    = "task.dead"
	EventTest        = "webhook.test" // only when it is asked for
)

// Events are those that an endpoint may choose from.
var Events = []string{EventJobSuccess, EventJobFailure, EventJobCanceled, EventTaskDead}

// hookSource turns what a sender posts into jobs.
type hookSource struct {
	id          uint64
	namespace   string
	name        string
	scheme      string
	secrets     [][]byte
	toleranceMS int64
	maxBytes    uint32
	events      []string
	graph       graphHash // the source counts as one that uses it
	options     []byte
	retainMS    int64
	paused      bool
	createdMS   int64
	lastMS      int64
	received    uint64
	duplicates  uint64
	receipts    uint64 // that are remembered
}

func (s *hookSource) encode() []byte {
	e := newEnc(256 + len(s.options))
	e.uint(s.id)
	e.str(s.scheme)
	e.list(s.secrets)
	e.int(s.toleranceMS)
	e.uint(uint64(s.maxBytes))
	e.strs(s.events)
	e.raw(s.graph[:])
	e.bytes(s.options)
	e.int(s.retainMS)
	e.bool(s.paused)
	e.int(s.createdMS)
	e.int(s.lastMS)
	e.uint(s.received)
	e.uint(s.duplicates)
	e.uint(s.receipts)
	return e
}

func decodeSource(namespace, name string, b []byte) *hookSource {
	d := newDec("webhook source", b)
	s := &hookSource{namespace: namespace, name: name, id: d.uint(), scheme: d.str(), secrets: d.list(), toleranceMS: d.int(),
		maxBytes: d.u32(), events: d.strs()}
	copy(s.graph[:], d.raw(len(s.graph)))
	if s.options = d.bytes(); len(s.options) == 0 {
		s.options = nil
	}
	s.retainMS, s.paused, s.createdMS, s.lastMS = d.int(), d.bool(), d.int(), d.int()
	s.received, s.duplicates, s.receipts = d.uint(), d.uint(), d.uint()
	d.end()
	return s
}

// hookEndpoint is where events are delivered to. All of them are in memory: the end of every job asks for
// those of its namespace.
type hookEndpoint struct {
	id        uint64
	namespace string
	name      string
	url       string
	secrets   [][]byte
	events    []string // none = all
	workflows []string // none = all
	parallel  uint32
	timeoutMS int64
	paused    bool
	disabled  string // why it gets no more; "" = it does
	createdMS int64
	notBefore int64 // the receiver asked for quiet until then

	// Invariant: pending is the number of deliveries in PENDING, ended of all others. Those that ended are
	// numbered in that order, from head (the oldest that may be left) to tail (the next number).
	pending, ended, head, tail uint64

	delivered, failed, dropped uint64
	lastStatus                 uint32
	lastError                  string
	lastMS                     int64

	dirty bool // not stored
	gone  bool // not stored: it was deleted
}

func (p *hookEndpoint) encode() []byte {
	e := newEnc(256 + len(p.url) + len(p.lastError))
	e.uint(p.id)
	e.str(p.url)
	e.list(p.secrets)
	e.strs(p.events)
	e.strs(p.workflows)
	e.uint(uint64(p.parallel))
	e.int(p.timeoutMS)
	e.bool(p.paused)
	e.str(p.disabled)
	e.int(p.createdMS)
	e.int(p.notBefore)
	for _, n := range []uint64{p.pending, p.ended, p.head, p.tail, p.delivered, p.failed, p.dropped} {
		e.uint(n)
	}
	e.uint(uint64(p.lastStatus))
	e.str(p.lastError)
	e.int(p.lastMS)
	return e
}

func decodeEndpoint(namespace, name string, b []byte) *hookEndpoint {
	d := newDec("webhook endpoint", b)
	p := &hookEndpoint{namespace: namespace, name: name, id: d.uint(), url: d.str(), secrets: d.list(), events: d.strs(), workflows: d.strs(),
		parallel: d.u32(), timeoutMS: d.int(), paused: d.bool(), disabled: d.str(), createdMS: d.int(), notBefore: d.int()}
	for _, n := range []*uint64{&p.pending, &p.ended, &p.head, &p.tail, &p.delivered, &p.failed, &p.dropped} {
		*n = d.uint()
	}
	p.lastStatus, p.lastError, p.lastMS = d.u32(), d.str(), d.int()
	d.end()
	return p
}

// wants reports whether an event of a workflow is delivered to the endpoint.
func (p *hookEndpoint) wants(event, workflow string) bool {
	return p.disabled == "" && (len(p.events) == 0 || slices.Contains(p.events, event)) &&
		(len(p.workflows) == 0 || slices.Contains(p.workflows, workflow))
}

// hooks are the endpoints in memory, and how many sources there are.
type hooks struct {
	byName  map[string]map[string]*hookEndpoint // namespace, name
	byID    map[uint64]*hookEndpoint
	ordered map[string][]*hookEndpoint // of a namespace, by name
	changed []*hookEndpoint
	sources int
}

func newHooks() hooks {
	return hooks{byName: map[string]map[string]*hookEndpoint{}, byID: map[uint64]*hookEndpoint{}, ordered: map[string][]*hookEndpoint{}}
}

func (h *hooks) add(p *hookEndpoint) {
	if h.byName[p.namespace] == nil {
		h.byName[p.namespace] = map[string]*hookEndpoint{}
	}
	h.byName[p.namespace][p.name] = p
	h.byID[p.id] = p
	all := append(h.ordered[p.namespace], p)
	slices.SortFunc(all, func(a, b *hookEndpoint) int { return strings.Compare(a.name, b.name) })
	h.ordered[p.namespace] = all
}

func (h *hooks) remove(p *hookEndpoint) {
	p.gone = true
	delete(h.byID, p.id)
	delete(h.byName[p.namespace], p.name)
	h.ordered[p.namespace] = slices.DeleteFunc(h.ordered[p.namespace], func(o *hookEndpoint) bool { return o == p })
	if len(h.ordered[p.namespace]) == 0 {
		delete(h.ordered, p.namespace)
		delete(h.byName, p.namespace)
	}
}

func (h *hooks) touch(p *hookEndpoint) {
	if !p.dirty {
		p.dirty = true
		h.changed = append(h.changed, p)
	}
}

// flushHooks writes the changed endpoints.
func (m *Machine) flushHooks(t *tx) {
	for _, p := range m.hooks.changed {
		if p.dirty = false; !p.gone {
			t.set(keyEndpoint(p.namespace, p.name), p.encode())
		}
	}
	m.hooks.changed = m.hooks.changed[:0]
}

func (m *Machine) loadHooks() {
	m.hooks = newHooks()
	m.disk.scan([]byte{tagSource}, []byte{tagSource + 1}, func(_, _ []byte) bool {
		m.hooks.sources++
		return true
	})
	m.disk.scan([]byte{tagEndpoint}, []byte{tagEndpoint + 1}, func(k, v []byte) bool {
		ns, name := parseHookName(k)
		m.hooks.add(decodeEndpoint(ns, name, v))
		return true
	})
}

func (t *tx) source(namespace, name string) *hookSource {
	if b := t.get(keySource(namespace, name)); b != nil {
		return decodeSource(namespace, name, b)
	}
	return nil
}

func (t *tx) setSource(s *hookSource) { t.set(keySource(s.namespace, s.name), s.encode()) }

func noSource(namespace, name string) *Refusal {
	return refuse(CodeNotFound, "there is no webhook source %q in namespace %s: `fanfold webhook source list` shows those there are", name, namespace)
}

func noEndpoint(namespace, name string) *Refusal {
	return refuse(CodeNotFound, "there is no webhook endpoint %q in namespace %s: `fanfold webhook endpoint list` shows those there are", name, namespace)
}

// checkHookURL is a coarse sieve, the API has a finer one. Who is behind the name is checked when it is dialled,
// by the node that does.
func checkHookURL(text string) *Refusal {
	if len(text) > hookURLMax {
		return refuse(CodeTooLarge, "the URL has %d bytes; it may have %d", len(text), hookURLMax)
	}
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "http://")
	}
	host, _, _ := strings.Cut(rest, "/")
	if !ok || host == "" || strings.ContainsAny(host, "@") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f }) {
		return refuse(CodeInvalid, "the URL has the form https://host/path, without a user name and a fragment")
	}
	return nil
}

func checkFilter(what string, names []string) *Refusal {
	if len(names) > hookFilterMax {
		return refuse(CodeTooLarge, "%d %s are named; up to %d can be: none means all", len(names), what, hookFilterMax)
	}
	for _, n := range names {
		if !validName(n) {
			return refuse(CodeInvalid, "one of the %s has no name of 1 to 255 bytes without control characters", what)
		}
	}
	return nil
}

func checkSecrets(secrets [][]byte) *Refusal {
	if len(secrets) > secretsMax {
		return refuse(CodeInvalid, "%d secrets are given; %d can be live at once: the new one and the old one", len(secrets), secretsMax)
	}
	for _, s := range secrets {
		if len(s) < secretBytesMin || len(s) > secretBytesMax {
			return refuse(CodeInvalid, "a secret has %d to %d bytes, not %d", secretBytesMin, secretBytesMax, len(s))
		}
	}
	return nil
}

// nextSecrets is what is live after a SetWebhook.
func nextSecrets(old [][]byte, c *fsmpb.SetWebhook) ([][]byte, *Refusal) {
	if r := checkSecrets(c.Secrets); r != nil {
		return nil, r
	}
	switch {
	case c.Rotate && len(c.Secrets) != 1:
		return nil, refuse(CodeInvalid, "a rotation takes one secret, the new one; %d are given", len(c.Secrets))
	case c.Rotate && len(old) > 0 && bytes.Equal(c.Secrets[0], old[0]):
		return old, nil // the same call again
	case c.Rotate && len(old) > 0:
		return [][]byte{c.Secrets[0], old[0]}, nil
	case len(c.Secrets) == 0 && len(old) == 0:
		return nil, refuse(CodeInvalid, "a secret is needed: without one nobody can tell who has sent a message")
	case len(c.Secrets) == 0:
		return old, nil
	}
	return c.Secrets, nil
}
