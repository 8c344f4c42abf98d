package fsm

import "bytes"

// savedCount is what a task's record says of its checkpoints.
type savedCount struct {
	slots uint32
	bytes uint64
}

// savedOf compares a job's checkpoints with what the records of its tasks say, which c.saved has, and
// empties that.
func (c *checker) savedOf(j *job) {
	prefix := keyData(j.id, partSaved)
	c.m.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
		ref := parseTaskPart(k)
		said, ok := c.saved[ref]
		slot := be.Uint32(k[30:])
		size := decodeSaved(bytes.Clone(b)).size()
		if !ok || slot >= said.slots || size > said.bytes {
			c.bad("task %s has something in slot %d and says %d slots with %d bytes left", ref, slot, said.slots, said.bytes)
		}
		if said.bytes -= size; slot == said.slots-1 {
			said.slots = 0 // the last one is there
		}
		c.saved[ref] = said
		return true
	})
	for ref, said := range c.saved {
		if said.bytes != 0 || said.slots != 0 {
			c.bad("task %s has saved %d bytes less than it says (last slot %d)", ref, said.bytes, said.slots)
		}
	}
	clear(c.saved)
}

// logOf compares a job's log with its heads.
func (c *checker) logOf(j *job) {
	head := c.m.disk.get(keyJobLog(j.id))
	if (head != nil) != j.logged {
		c.bad("job %s logged: %v, and a log: %v", j.id, j.logged, head != nil)
	}
	if head == nil {
		return
	}
	l := decodeJobLog(head)
	var total uint64
	chunks := make(map[uint64]logPiece)
	first, last := keyLogChunk(j.id, 0), keyLogChunk(j.id, ^uint64(0))
	c.m.disk.scan(first, last, func(k, b []byte) bool {
		n := parseLogChunk(k)
		if n < l.first || n >= l.next {
			c.bad("chunk %d of the log of job %s is not in [%d, %d)", n, j.id, l.first, l.next)
		}
		total += uint64(len(b))
		chunks[n] = logPiece{n, uint64(len(b))}
		return true
	})
	if total != l.bytes || total > LogJobMax {
		c.bad("the log of job %s has %d bytes and says %d, of %d", j.id, total, l.bytes, LogJobMax)
	}
	prefix := keyTaskLog(TaskRef{Job: j.id})[:19]
	c.m.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
		ref, one := parseTaskLog(k), decodeTaskLog(bytes.Clone(b))
		var sum uint64
		for _, p := range one.chunks {
			if chunks[p.n] != p {
				c.bad("task %s says its log has chunk %d of %d bytes, and it has %d", ref, p.n, p.size, chunks[p.n].size)
			}
			delete(chunks, p.n)
			sum += p.size
		}
		if sum != one.bytes || sum == 0 || sum > LogTaskMax && len(one.chunks) > 1 || len(one.chunks) > LogChunksMax {
			c.bad("the log of task %s has %d bytes in %d chunks and says %d", ref, sum, len(one.chunks), one.bytes)
		}
		return true
	})
	for n := range chunks {
		c.bad("chunk %d of the log of job %s belongs to no task", n, j.id)
	}
}
