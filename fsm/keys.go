package fsm

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The keyspace, in physical order. Numbers are big-endian, so that key order is meaning. A tag is on
// disk: append only. Nothing else in the project spells a key.
//
//	01 "state"                             machine record: applied index and term, time, counters
//	02 "conf"                              Raft configuration and its index
//	10 <job>                               job: header and its first 32 steps
//	11 <job> b <block u32>                 further steps of the job, 32 to a block
//	11 <job> h <step u32> <shard u64> <n u32>   attempt of a task that did not succeed
//	11 <job> i                             input of the job
//	11 <job> l c <n u64>                   chunk of the job's log: lines of one task
//	11 <job> l h                           head of the job's log
//	11 <job> l t <step u32> <shard u64>    head of a task's log: which chunks are its
//	11 <job> m <step u32>                  group: a map or fold step's cursor and counts
//	11 <job> n <step u32> <node u64>       how many children a fold node still waits for
//	11 <job> r <step u32> <shard u64>      result of a task, written once
//	11 <job> s <step u32> <shard u64> <slot u32>   what a task has saved for its next attempt
//	11 <job> t <step u32> <shard u64>      task of a map or fold step, while it is not done
//	11 <job> x <blob>                      the job owns this blob
//	12 <graph>                             graph, by content hash
//	13 <graph>                             how many jobs refer to the graph
//	14 <queue u32> <kind u32> <part u64> <prio u8> <seq u64> <shard u64>   runnable: task or group, in its lane
//	15 <due u64> <duty u8> <ref>           timer
//	16 <session u64>                       session
//	17 <session u64> <index u64> <pos u32> lease
//	18 <queue u32>                         queue
//	19 <kind u32>                          kind of task
//	1a <hash>                              the user's idempotency key -> job, by hash of namespace and key
//	1b <blob>                              blob: size and sums
//	1c <blob> <chunk u32>                  a blob's bytes, 256 KiB to a chunk
//	20 <part u64>                          partition that has tasks in a queue
//	21 <limit u32>                         limit
//	24 <queue u32>                         what is set for a queue: drain, purge, budgets; queue 0 is the cluster
//	25 <queue u32> <state u8> <ended u64> <job>   ended jobs of a queue that has a bound for them, oldest first
//	26 <namespace> 00 <name>               schedule: what the user has said
//	27 <schedule>                          schedule: how far it is
//	28 <schedule> <job>                    a job of the schedule that has not ended
//	2f <namespace> 00 <name>               webhook source
//	30 <hash>                              webhook receipt: a message that has become a job
//	31 <namespace> 00 <name>               webhook endpoint
//	32 <endpoint u64> d <seq u64>          delivery
//	32 <endpoint u64> e <place u64>        delivery that has ended, in the order of ends
//	32 <endpoint u64> p <due u64> <seq u64>  delivery that is pending
//	22 <limit u32> <partition>             what a rate limit has counted
//	22 00000000 <kind u32> <partition>     until when a handler has paused its kind
//	23 <limit u32> <partition> 00 <ms u64> how many attempts began at that time, of a window
//	29 <namespace> 00 <finished u64> <job>   dead set: a job in FAILURE
//	2a <redrive>                           redrive: dead jobs run again, at a rate
//	2c <hash>                              unique key -> job that holds it, by hash of namespace, workflow, mode and key
//	2d <batch>                             batch: state and counts
//	2e <batch> m <job>                     job of a batch: the state in which it has ended
//	2e <batch> s                           what the batch was created with: its callbacks
const (
	tagState    = 0x01
	tagConf     = 0x02
	tagJob      = 0x10
	tagData     = 0x11
	tagGraph    = 0x12
	tagRefs     = 0x13
	tagRunnable = 0x14
	tagTimer    = 0x15
	tagSession  = 0x16
	tagLease    = 0x17
	tagQueue    = 0x18
	tagKind     = 0x19
	tagUserKey  = 0x1a
	tagBlob     = 0x1b
	tagChunk    = 0x1c

	tagSource   = 0x2f
	tagReceipt  = 0x30
	tagEndpoint = 0x31
	tagDelivery = 0x32
	tagControl  = 0x24
	tagEnded    = 0x25
	tagSchedule = 0x26
	tagAgenda   = 0x27
	tagRunning  = 0x28
	tagDead     = 0x29
	tagRedrive  = 0x2a
)

// Tags of the scheduler.
const (
	tagPartition = 0x20
	tagLimit     = 0x21
	tagLimiter   = 0x22
	tagBegan     = 0x23
)

// Parts of a job's data.
const (
	partBlock   = 'b'
	partAttempt = 'h' // 'e' was the last error of a task, in format 1
	partInput   = 'i'
	partLog     = 'l'
	partGroup   = 'm'
	partNode    = 'n'
	partResult  = 'r'
	partSaved   = 's'
	partTask    = 't'
	partBlob    = 'x'
)

// Unique keys and batches.
const (
	tagUnique = 0x2c
	tagBatch  = 0x2d
	tagMember = 0x2e

	// Parts of a batch's data.

	partMember    = 'm'
	partCallbacks = 's'
)

// blobID names a blob: 16 bytes chosen at random by the uploader.
type blobID [16]byte

// graphHash is the first half of the SHA-256 of a graph's canonical encoding.
type graphHash [16]byte

var be = binary.BigEndian

func keyState() []byte { return []byte{tagState, 's', 't', 'a', 't', 'e'} }
func keyConf() []byte  { return []byte{tagConf, 'c', 'o', 'n', 'f'} }

// newKey begins a key. Its capacity is a constant, so that a key that is only looked at, or copied into the
// changes of a call, stays on the stack.
func newKey(tag byte) []byte { return append(make([]byte, 0, 56), tag) }

func keyJob(id JobID) []byte { return append(newKey(tagJob), id[:]...) }

func parseJobKey(k []byte) JobID { return JobID(k[1:17]) }

func keyData(id JobID, part byte) []byte {
	return append(append(newKey(tagData), id[:]...), part)
}

func keyBlock(id JobID, block uint32) []byte { return be.AppendUint32(keyData(id, partBlock), block) }
func keyInput(id JobID) []byte               { return keyData(id, partInput) }
func keyGroup(id JobID, step uint32) []byte  { return be.AppendUint32(keyData(id, partGroup), step) }
func keyOwned(id JobID, b blobID) []byte     { return append(keyData(id, partBlob), b[:]...) }

func keyTaskPart(part byte, r TaskRef) []byte {
	return be.AppendUint64(be.AppendUint32(keyData(r.Job, part), r.Step), r.Shard)
}

func keyTask(r TaskRef) []byte   { return keyTaskPart(partTask, r) }
func keyNode(r TaskRef) []byte   { return keyTaskPart(partNode, r) }
func keyResult(r TaskRef) []byte { return keyTaskPart(partResult, r) }

func keyAttempts(r TaskRef) []byte { return keyTaskPart(partAttempt, r) }

func keyAttempt(r TaskRef, n uint32) []byte { return be.AppendUint32(keyAttempts(r), n) }

func parseAttempt(k []byte) (r TaskRef, n uint32) { return parseTaskPart(k), be.Uint32(k[30:]) }

func keySaved(r TaskRef, slot uint32) []byte {
	return be.AppendUint32(keyTaskPart(partSaved, r), slot)
}

func keyJobLog(id JobID) []byte { return append(keyData(id, partLog), 'h') }

func keyLogChunk(id JobID, n uint64) []byte {
	return be.AppendUint64(append(keyData(id, partLog), 'c'), n)
}

func parseLogChunk(k []byte) (n uint64) { return be.Uint64(k[19:]) }

func keyTaskLog(r TaskRef) []byte {
	return be.AppendUint64(be.AppendUint32(append(keyData(r.Job, partLog), 't'), r.Step), r.Shard)
}

func parseTaskLog(k []byte) TaskRef {
	return TaskRef{Job: JobID(k[1:17]), Step: be.Uint32(k[19:]), Shard: be.Uint64(k[23:])}
}

// parseTaskPart reads the keys of tasks, nodes, results, attempts and checkpoints.
func parseTaskPart(k []byte) TaskRef {
	return TaskRef{Job: JobID(k[1:17]), Step: be.Uint32(k[18:]), Shard: be.Uint64(k[22:])}
}

func keyGraph(h graphHash) []byte { return append(newKey(tagGraph), h[:]...) }
func keyRefs(h graphHash) []byte  { return append(newKey(tagRefs), h[:]...) }

func keyLane(queue, kind uint32, part uint64, prio uint8) []byte {
	k := be.AppendUint32(be.AppendUint32(newKey(tagRunnable), queue), kind)
	return append(be.AppendUint64(k, part), prio)
}

// keyRunnable has the shard last: the tasks of a group share the group's place, each before the next,
// and the group itself (groupShard) after all of them.
func keyRunnable(queue, kind uint32, part uint64, prio uint8, seq, shard uint64) []byte {
	return be.AppendUint64(be.AppendUint64(keyLane(queue, kind, part, prio), seq), shard)
}

// place is what a runnable key says.
type place struct {
	queue, kind uint32
	part        uint64
	prio        uint8
	seq         uint64
}

func parseRunnable(k []byte) place {
	return place{be.Uint32(k[1:]), be.Uint32(k[5:]), be.Uint64(k[9:]), k[17], be.Uint64(k[18:])}
}

func keyTimer(due int64, duty duty, r TaskRef) []byte {
	k := append(be.AppendUint64(newKey(tagTimer), uint64(due)), byte(duty))
	return appendRef(k, r)
}

func parseTimer(k []byte) (due int64, d duty, r TaskRef) {
	r, _ = parseRef(k[10:])
	return int64(be.Uint64(k[1:])), duty(k[9]), r
}

func keySession(id uint64) []byte { return be.AppendUint64(newKey(tagSession), id) }

func keyLease(session uint64, f Fence) []byte {
	return be.AppendUint32(be.AppendUint64(be.AppendUint64(newKey(tagLease), session), f.Index), f.Pos)
}

func parseLease(k []byte) (session uint64, f Fence) {
	return be.Uint64(k[1:]), Fence{Index: be.Uint64(k[9:]), Pos: be.Uint32(k[17:])}
}

func keyQueue(id uint32) []byte { return be.AppendUint32(newKey(tagQueue), id) }
func keyKind(id uint32) []byte  { return be.AppendUint32(newKey(tagKind), id) }

func keyPartition(id uint64) []byte { return be.AppendUint64(newKey(tagPartition), id) }
func keyLimiter(limit uint32, partition string) []byte {
	return append(be.AppendUint32(newKey(tagLimiter), limit), partition...)
}

func keyPause(kind uint32, partition string) []byte {
	return append(be.AppendUint32(keyLimiter(0, ""), kind), partition...)
}

func keyBegan(limit uint32, partition string, ms int64) []byte {
	k := append(be.AppendUint32(newKey(tagBegan), limit), partition...)
	return be.AppendUint64(append(k, 0), uint64(ms))
}

func parseBegan(k []byte) (limit uint32, partition string, ms int64) {
	at := len(k) - 8
	return be.Uint32(k[1:]), string(k[5 : at-1]), int64(be.Uint64(k[at:]))
}

func keyLimit(id uint32) []byte { return be.AppendUint32(newKey(tagLimit), id) }

func keyUserKey(h keyHash) []byte { return append(newKey(tagUserKey), h[:]...) }
func keyUnique(h keyHash) []byte  { return append(newKey(tagUnique), h[:]...) }

func keyBatch(id BatchID) []byte { return append(newKey(tagBatch), id[:]...) }

func keyBatchPart(id BatchID, part byte) []byte {
	return append(append(newKey(tagMember), id[:]...), part)
}

func keyDeadOf(namespace string) []byte { return append(append(newKey(tagDead), namespace...), 0) }

func keyDead(namespace string, finished int64, id JobID) []byte {
	return append(be.AppendUint64(keyDeadOf(namespace), uint64(finished)), id[:]...)
}

func parseDead(k []byte) *deadJob {
	n := len(k) - 24
	return &deadJob{namespace: string(k[1 : n-1]), finishedMS: int64(be.Uint64(k[n:])), id: JobID(k[n+8:])}
}

func keyRedrive(id redriveID) []byte           { return append(newKey(tagRedrive), id[:]...) }
func keyBatchCallbacks(id BatchID) []byte      { return keyBatchPart(id, partCallbacks) }
func keyMembers(id BatchID) []byte             { return keyBatchPart(id, partMember) }
func keyMember(id BatchID, job JobID) []byte   { return append(keyMembers(id), job[:]...) }
func parseMember(k []byte) JobID               { return JobID(k[18:34]) }
func parseMemberKey(k []byte) (BatchID, JobID) { return BatchID(k[1:17]), JobID(k[18:34]) }

func keyBlob(b blobID) []byte { return append(newKey(tagBlob), b[:]...) }

func keyChunk(b blobID, n uint32) []byte {
	return be.AppendUint32(append(newKey(tagChunk), b[:]...), n)
}

// Parts of an endpoint's deliveries.
const (
	partDelivery = 'd'
	partEnded    = 'e'
	partDue      = 'p'
)

func keyHook(tag byte, namespace, name string) []byte {
	return append(append(append([]byte{tag}, namespace...), 0), name...)
}

func keySource(namespace, name string) []byte   { return keyHook(tagSource, namespace, name) }
func keyEndpoint(namespace, name string) []byte { return keyHook(tagEndpoint, namespace, name) }

// parseHookName reads the keys of sources and endpoints.
func parseHookName(k []byte) (namespace, name string) {
	namespace, name, _ = strings.Cut(string(k[1:]), "\x00")
	return namespace, name
}

func keyReceipt(hash JobID) []byte { return append(newKey(tagReceipt), hash[:]...) }

func keyDeliveries(endpoint uint64) []byte { return be.AppendUint64(newKey(tagDelivery), endpoint) }

func keyDelivery(r DeliveryRef) []byte {
	return be.AppendUint64(append(keyDeliveries(r.Endpoint), partDelivery), r.Seq)
}

func keyEnded(endpoint, place uint64) []byte {
	return be.AppendUint64(append(keyDeliveries(endpoint), partEnded), place)
}

func parseEnded(k []byte) (place uint64) { return be.Uint64(k[10:]) }

func keyDue(r DeliveryRef, due int64) []byte {
	return be.AppendUint64(be.AppendUint64(append(keyDeliveries(r.Endpoint), partDue), uint64(due)), r.Seq)
}

// parseDelivery reads the keys of deliveries, parseDue those of pending ones.
func parseDelivery(k []byte) DeliveryRef {
	return DeliveryRef{Endpoint: be.Uint64(k[1:]), Seq: be.Uint64(k[10:])}
}

func parseDue(k []byte) (r DeliveryRef, due int64) {
	return DeliveryRef{Endpoint: be.Uint64(k[1:]), Seq: be.Uint64(k[18:])}, int64(be.Uint64(k[10:]))
}
func keyControl(queue uint32) []byte { return be.AppendUint32(newKey(tagControl), queue) }

// keyRetained lists ended jobs by the time of their end.
func keyRetained(queue uint32, s JobState, endedMS int64, id JobID) []byte {
	return append(be.AppendUint64(keyRetainedAll(queue, s), uint64(endedMS)), id[:]...)
}

func keyRetainedAll(queue uint32, s JobState) []byte {
	return append(be.AppendUint32(newKey(tagEnded), queue), byte(s))
}

func parseRetained(k []byte) (endedMS int64, id JobID) {
	return int64(be.Uint64(k[6:])), JobID(k[14:30])
}
func keySchedule(namespace, name string) []byte {
	k := append(newKey(tagSchedule), namespace...)
	return append(append(k, 0), name...)
}

func parseSchedule(k []byte) (namespace, name string) {
	ns, n, _ := bytes.Cut(k[1:], []byte{0})
	return string(ns), string(n)
}

func keyAgenda(id scheduleID) []byte { return append(newKey(tagAgenda), id[:]...) }

func keyRunning(id scheduleID, job JobID) []byte {
	return append(append(newKey(tagRunning), id[:]...), job[:]...)
}

func parseRunning(k []byte) (scheduleID, JobID) { return scheduleID(k[1:17]), JobID(k[17:33]) }

const refBytes = 16 + 4 + 8

func appendRef(b []byte, r TaskRef) []byte {
	return be.AppendUint64(be.AppendUint32(append(b, r.Job[:]...), r.Step), r.Shard)
}

func parseRef(b []byte) (TaskRef, bool) {
	if len(b) < refBytes {
		return TaskRef{}, false
	}
	return TaskRef{Job: JobID(b[:16]), Step: be.Uint32(b[16:]), Shard: be.Uint64(b[20:])}, true
}

// prefixEnd is the first key after all keys that begin with prefix.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
