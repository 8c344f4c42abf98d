package fsm

// attempts: of each task the first attempt and the last 31 that did not succeed are kept, and no other.
func (c *checker) attempts(ref TaskRef, tk *task) {
	want := uint32(0)
	for n := uint32(1); n <= tk.tries; n++ {
		if attemptKept(n, tk.tries) {
			want++
		}
	}
	c.m.disk.scan(keyAttempts(ref), prefixEnd(keyAttempts(ref)), func(k, _ []byte) bool {
		if _, n := parseAttempt(k); n != stepErrorNumber {
			if !attemptKept(n, tk.tries) {
				c.bad("attempt %d of task %s is kept, of %d", n, ref, tk.tries)
			}
			want--
		}
		return true
	})
	if want != 0 {
		c.bad("task %s lacks %d of its %d attempts", ref, int32(want), tk.tries)
	}
}
