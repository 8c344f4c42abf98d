package fsm

// Pulse is an attempt whose function has to give a sign of life.
type Pulse struct {
	Session uint64
	Fence   Fence
	Task    TaskRef
	LimitMS int64
}

// Pulses lists the attempts that run under a heartbeat limit.
func (v *View) Pulses() (all []Pulse, err error) {
	defer catch(&err)
	v.disk.scan([]byte{tagLease}, []byte{tagLease + 1}, func(k, b []byte) bool {
		session, f := parseLease(k)
		if l := decodeLease(b); l.pulseMS > 0 && !l.revoked {
			all = append(all, Pulse{session, f, l.ref, l.pulseMS})
		}
		return true
	})
	return all, nil
}
