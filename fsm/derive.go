package fsm

// derivedID is the id of a job that the machine makes by itself: the time in front, as in every ULID, so
// that it is listed among its contemporaries, and behind it a hash of its cause, so that it is the same
// on every replica and never made twice.
func derivedID(nowMS int64, cause ...string) (id JobID) {
	h := keyHashOf(cause...)
	copy(id[:], be.AppendUint64(nil, uint64(nowMS))[2:])
	copy(id[6:], h[:10])
	return id
}
