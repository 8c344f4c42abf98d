package cluster

import (
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// Limits of the API. The state machine has its own, which are the same or wider; here a caller is
// told early, and the log is spared.
const (
	inlineMax      = 256 << 10
	blobMax        = 64 << 20
	blobIDBytes    = 16
	chunksMax      = blobMax / inlineMax
	submitJobsMax  = 10_000
	submitBytesMax = 8 << 20
	awaitIDsMax    = 100_000
	nameMax        = 255
	labelsMax      = 64
	queuesMax      = 256
	kindsMax       = 10_000
	slotsMax       = 10_000
	reasonMax      = 4 << 10
	noteMax        = 256
	pageDefault    = 100
	pageMax        = 1000

	// durationMaxMS is a hundred years. It keeps sums of times far from the end of int64.
	durationMaxMS = 100 * 366 * 24 * 3600 * 1000
	timeMaxMS     = 253_402_300_799_000 // the end of the year 9999

	ttlDefaultMS = 15_000
	ttlMinMS     = 1_000
	ttlMaxMS     = 600_000

	defaultNamespace = "default"
)

func invalid(format string, args ...any) error {
	return refuse(fsm.CodeInvalid, fmt.Sprintf(format, args...))
}

func tooLarge(format string, args ...any) error {
	return refuse(fsm.CodeTooLarge, fmt.Sprintf(format, args...))
}

func namespaceOf(name string) (string, error) {
	if name == "" {
		return defaultNamespace, nil
	}
	return name, checkName("namespace", name)
}

func checkName(what, name string) error {
	if !dag.ValidName(name) {
		return invalid("%s %.64q: use 1 to %d characters of A-Z, a-z, 0-9 and ._/-", what, name, nameMax)
	}
	return nil
}

func jobIDOf(text string) (fsm.JobID, error) {
	id, err := fsm.ParseJobID(text)
	if err != nil || id.IsZero() {
		return fsm.JobID{}, invalid("%.64q is no job id: it has 26 letters and digits, as `fanfold job list` prints them", text)
	}
	return id, nil
}

// submitOf translates one job, or says what is wrong with it.
func (s *server) submitOf(j *apiv1.Job) (fsm.JobID, *fsmpb.SubmitJob, error) {
	var id fsm.JobID
	var err error
	if j.GetId() == "" {
		id = fsm.JobID(ulid.Make())
	} else if id, err = jobIDOf(j.GetId()); err != nil {
		return id, nil, err
	}
	ns, err := namespaceOf(j.GetNamespace())
	if err != nil {
		return id, nil, err
	}
	if err := s.graphs.check(j.GetGraph()); err != nil {
		return id, nil, err
	}
	input, err := valueOf("the input", j.GetInput())
	if err != nil {
		return id, nil, err
	}
	switch {
	case j.GetNotBeforeMs() < 0 || j.GetNotBeforeMs() > timeMaxMS:
		return id, nil, invalid("not_before_ms is %d: give unix milliseconds up to the year 9999, 0 for at once", j.GetNotBeforeMs())
	case j.GetRetainMs() < 0 || j.GetRetainMs() > durationMaxMS:
		return id, nil, invalid("retain_ms is %d: give milliseconds up to %d (100 years), 0 for the default", j.GetRetainMs(), int64(durationMaxMS))
	case len(j.GetKey()) > nameMax:
		return id, nil, invalid("the idempotency key has %d bytes; it may have %d: use a hash of it", len(j.GetKey()), nameMax)
	}
	options, err := optionsOf(j.GetOptions(), input)
	if err != nil {
		return id, nil, err
	}
	return id, &fsmpb.SubmitJob{Job: id[:], Namespace: ns, Graph: j.GetGraph(), Input: input,
		NotBeforeMs: j.GetNotBeforeMs(), RetainMs: j.GetRetainMs(), Key: j.GetKey(), Options: options}, nil
}

var jsonNull = []byte("null")

// valueOf translates a value. None at all is JSON's null.
func valueOf(what string, v *apiv1.Value) (*fsmpb.Value, error) {
	out := new(fsmpb.Value)
	return out, fillValue(out, what, v)
}

func fillValue(out *fsmpb.Value, what string, v *apiv1.Value) error {
	inline, blob := v.GetInline(), v.GetBlob()
	switch {
	case blob != nil && len(inline) > 0:
		return invalid("%s is given twice, inline and as a blob: leave one out", what)
	case blob != nil:
		return fillBlob(out, what, blob)
	case len(inline) > inlineMax:
		return tooLarge("%s has %d bytes; up to %d go inline, more as a blob (PutChunk)", what, len(inline), inlineMax)
	case len(inline) == 0:
		out.Inline = jsonNull
	case !json.Valid(inline):
		return invalid("%s is not valid JSON: encode it with encoding/json", what)
	default:
		out.Inline = inline
	}
	return nil
}

func fillBlob(out *fsmpb.Value, what string, b *apiv1.Blob) error {
	switch {
	case len(b.GetId()) != blobIDBytes:
		return invalid("%s: a blob id has %d bytes, not %d", what, blobIDBytes, len(b.GetId()))
	case b.GetSize() == 0:
		return invalid("%s: a blob of 0 bytes is no JSON", what)
	case b.GetSize() > blobMax:
		return tooLarge("%s has %d bytes; a value may have %d: keep the data elsewhere and pass its name", what, b.GetSize(), blobMax)
	case len(b.GetSha256()) != 32:
		return invalid("%s: sha256 has 32 bytes, not %d", what, len(b.GetSha256()))
	}
	out.Blob = &fsmpb.Blob{Id: b.GetId(), Size: b.GetSize(), Sha256: b.GetSha256()}
	return nil
}

// openOf translates a worker's Hello into the session to open.
func openOf(h *apiv1.Hello) (*fsmpb.OpenSession, error) {
	ns, err := namespaceOf(h.GetNamespace())
	if err != nil {
		return nil, err
	}
	ttl := h.GetTtlMs()
	if ttl == 0 {
		ttl = ttlDefaultMS
	}
	nonce := h.GetNonce()
	if len(nonce) == 0 {
		nonce = make([]byte, 16)
		_, _ = rand.Read(nonce) // never fails
	}
	switch {
	case len(h.GetWorker()) == 0 || len(h.GetWorker()) > nameMax:
		return nil, invalid("a worker needs a name of 1 to %d bytes", nameMax)
	case len(h.GetQueues()) == 0 || len(h.GetQueues()) > queuesMax:
		return nil, invalid("a worker serves 1 to %d queues, not %d", queuesMax, len(h.GetQueues()))
	case len(h.GetKinds()) == 0 || len(h.GetKinds()) > kindsMax:
		return nil, invalid("a worker runs 1 to %d kinds of task, not %d: register the tasks before Run", kindsMax, len(h.GetKinds()))
	case len(h.GetLabels()) > labelsMax:
		return nil, invalid("a worker may have %d labels, not %d", labelsMax, len(h.GetLabels()))
	case ttl < ttlMinMS || ttl > ttlMaxMS:
		return nil, invalid("ttl_ms is %d; it has to be from %d to %d", ttl, ttlMinMS, ttlMaxMS)
	case h.GetSlots() > slotsMax:
		return nil, invalid("a worker has at most %d slots, not %d: start more workers", slotsMax, h.GetSlots())
	case h.GetStrict() && h.GetSlots() == 0:
		return nil, invalid("strict goes with slots: say how many slots the queues share")
	case len(nonce) != 16:
		return nil, invalid("nonce has 16 bytes, not %d", len(nonce))
	}
	open := &fsmpb.OpenSession{Namespace: ns, Worker: h.GetWorker(), Labels: h.GetLabels(), TtlMs: ttl, Nonce: nonce,
		Slots: h.GetSlots(), Strict: h.GetStrict()}
	return open, fillLanes(open, h)
}

func fillLanes(open *fsmpb.OpenSession, h *apiv1.Hello) error {
	for _, q := range h.GetQueues() {
		if err := checkName("queue", q.GetQueue()); err != nil {
			return err
		}
		if q.GetSlots() == 0 || q.GetSlots() > slotsMax {
			return invalid("queue %q has %d slots; a worker has 1 to %d in a queue", q.GetQueue(), q.GetSlots(), slotsMax)
		}
		open.Queues = append(open.Queues, &fsmpb.QueueSlots{Queue: q.GetQueue(), Slots: q.GetSlots()})
	}
	for _, k := range h.GetKinds() {
		if err := checkName("task", k.GetName()); err != nil {
			return err
		}
		open.Kinds = append(open.Kinds, &fsmpb.TaskKind{Name: k.GetName(), Types: k.GetTypes()})
	}
	return nil
}

// pageQuery is what every list is asked by.
type pageQuery interface {
	GetNamespace() string
	GetPageSize() uint32
	GetPageToken() string
}

// pageOf reads how every list begins: of which namespace, how many, and after what. parse reads the token of the
// page before; without one, after is zero.
func pageOf[T any](q pageQuery, parse func(token string) (T, error)) (ns string, size int, after T, err error) {
	if ns, err = namespaceOf(q.GetNamespace()); err != nil {
		return ns, 0, after, err
	}
	if size, err = pageSize(q.GetPageSize()); err != nil {
		return ns, 0, after, err
	}
	if q.GetPageToken() != "" {
		if after, err = parse(q.GetPageToken()); err != nil {
			return ns, 0, after, invalid("page_token: use the one of the answer before")
		}
	}
	return ns, size, after, nil
}

// pageSize is how many a page has; the default for 0.
func pageSize(size uint32) (int, error) {
	switch {
	case size == 0:
		return pageDefault, nil
	case size > pageMax:
		return 0, invalid("page_size is %d; a page has up to %d", size, pageMax)
	}
	return int(size), nil
}
