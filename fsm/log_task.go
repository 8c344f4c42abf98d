package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

const (
	// LogTextMax is the longest line of a task's log, in bytes; what is longer is cut.
	LogTextMax = 4 << 10
	// LogTaskMax is how many bytes of the log of one task are kept, and LogChunksMax how many pieces.
	LogTaskMax   = 64 << 10
	LogChunksMax = 256
	// LogJobMax is how many bytes of the logs of all tasks of a job are kept.
	LogJobMax = 4 << 20
)

// logTask keeps lines that running tasks have logged: for each task a ring of 64 KiB, and for a job one
// of 4 MiB, in which the oldest lines give way. The lines of one command and task are one chunk. Chunks
// are numbered through the job, so that a reader follows all tasks by one cursor. The logs of a job are
// kept with it. Proposed for what a worker's tasks write to sdk.Log.
//
// Lines of an attempt whose lease is over are dropped and counted; those of a revoked one are taken, for
// they may say how the task was cut short. It refuses nothing.
func logTask(t *tx, c *fsmpb.LogTask) Answer {
	for _, l := range c.Tasks {
		ref, fence, _, held, refusal := t.reported(c.Session, l.Fence, l.Task)
		if refusal != nil || held == nil || !t.appendLog(ref, fence, l) {
			t.m.state.LogLinesDropped += uint64(len(l.Lines))
		}
	}
	return Answer{}
}

// appendLog adds a chunk to a job's log and lets the oldest ones go. false: the attempt belongs to a job
// that was purged (another of the same id may have come), and nothing was kept.
func (t *tx) appendLog(ref TaskRef, fence Fence, l *fsmpb.TaskLines) bool {
	j := t.job(ref.Job)
	if j == nil {
		return false
	}
	tk := t.task(j, ref)
	if tk == nil || tk.fence != fence {
		return false
	}
	log := t.jobLog(j)
	log.dropped += uint64(l.Dropped)
	c := logChunk{ref: ref, fence: fence, attempt: tk.attempts + 1, lines: l.Lines}
	for _, line := range c.lines {
		line.Text = truncate(line.Text, LogTextMax)
	}
	if len(c.lines) > 0 {
		b := c.encode()
		one := t.taskLog(ref)
		one.chunks = append(one.chunks, logPiece{log.next, uint64(len(b))})
		one.bytes += uint64(len(b))
		log.bytes += uint64(len(b))
		t.set(keyLogChunk(j.id, log.next), b)
		log.next++
		t.m.state.LogLines += uint64(len(c.lines))
		for one.bytes > LogTaskMax && len(one.chunks) > 1 || len(one.chunks) > LogChunksMax {
			t.dropLogChunk(j, log, one)
		}
		t.set(keyTaskLog(ref), one.encode())
		for log.bytes > LogJobMax {
			t.dropOldestLog(j, log)
		}
	}
	t.set(keyJobLog(j.id), log.encode())
	t.saw(j.id)
	return true
}

// dropLogChunk removes the oldest chunk of a task.
func (t *tx) dropLogChunk(j *job, log *jobLog, one *taskLog) {
	key := keyLogChunk(j.id, one.chunks[0].n)
	lines := uint64(len(decodeLogChunk(t.mustGet(key)).lines))
	t.del(key)
	one.bytes -= one.chunks[0].size
	log.bytes -= one.chunks[0].size
	one.chunks = one.chunks[1:]
	log.dropped += lines
	t.m.state.LogLinesDropped += lines
}

// dropOldestLog removes the oldest chunk of a job. Its numbers have gaps, where tasks dropped their own.
func (t *tx) dropOldestLog(j *job, log *jobLog) {
	var ref TaskRef
	t.ascend(keyLogChunk(j.id, log.first), keyLogChunk(j.id, log.next), 1, func(k, v []byte) {
		log.first = parseLogChunk(k) + 1
		ref = decodeLogChunk(v).ref
		ref.Job = j.id
	})
	one := t.taskLog(ref)
	t.dropLogChunk(j, log, one)
	if len(one.chunks) == 0 {
		t.del(keyTaskLog(ref))
		return
	}
	t.set(keyTaskLog(ref), one.encode())
}

// jobLog is the head of a job's log. Its chunks are in [first, next).
type jobLog struct {
	first, next uint64
	bytes       uint64
	dropped     uint64 // lines
}

func (l *jobLog) encode() []byte {
	e := newEnc(16)
	e.uint(l.first)
	e.uint(l.next)
	e.uint(l.bytes)
	e.uint(l.dropped)
	return e
}

func decodeJobLog(b []byte) *jobLog {
	d := newDec("job log", b)
	l := &jobLog{first: d.uint(), next: d.uint(), bytes: d.uint(), dropped: d.uint()}
	d.end()
	return l
}

func (t *tx) jobLog(j *job) *jobLog {
	if b := t.get(keyJobLog(j.id)); b != nil {
		return decodeJobLog(b)
	}
	j.logged, j.dirty = true, true
	return &jobLog{first: 1, next: 1}
}

// taskLog is the head of a task's log: its chunks, oldest first.
type taskLog struct {
	bytes  uint64
	chunks []logPiece
}

type logPiece struct{ n, size uint64 }

func (l *taskLog) encode() []byte {
	e := newEnc(16 + 8*len(l.chunks))
	e.uint(l.bytes)
	e.uint(uint64(len(l.chunks)))
	for _, c := range l.chunks {
		e.uint(c.n)
		e.uint(c.size)
	}
	return e
}

func decodeTaskLog(b []byte) *taskLog {
	d := newDec("task log", b)
	l := &taskLog{bytes: d.uint()}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		l.chunks = append(l.chunks, logPiece{d.uint(), d.uint()})
	}
	d.end()
	return l
}

func (t *tx) taskLog(ref TaskRef) *taskLog {
	if b := t.get(keyTaskLog(ref)); b != nil {
		return decodeTaskLog(b)
	}
	return new(taskLog)
}

// logChunk is lines of one attempt.
type logChunk struct {
	ref     TaskRef // without the job
	fence   Fence
	attempt uint32
	lines   []*fsmpb.LogLine
}

func (c *logChunk) encode() []byte {
	size := 40
	for _, l := range c.lines {
		size += len(l.Text) + 12
	}
	e := newEnc(size)
	e.uint(uint64(c.ref.Step))
	e.uint(c.ref.Shard)
	e.fence(c.fence)
	e.uint(uint64(c.attempt))
	e.uint(uint64(len(c.lines)))
	for _, l := range c.lines {
		e.int(l.TimeMs)
		e.int(int64(l.Level))
		e.str(l.Text)
	}
	return e
}

func decodeLogChunk(b []byte) *logChunk {
	d := newDec("log chunk", b)
	c := &logChunk{ref: TaskRef{Step: d.u32(), Shard: d.uint()}, fence: d.fence(), attempt: d.u32()}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		c.lines = append(c.lines, &fsmpb.LogLine{TimeMs: d.int(), Level: int32(d.int()), Text: d.str()})
	}
	d.end()
	return c
}
