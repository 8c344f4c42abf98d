package checker

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/fanfold/fanfold/fsm/cron"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// when says which ticks a schedule has, and when each is due. All times are unix ms.
type when struct {
	set              *fsmpb.SetSchedule
	anchor, interval int64      // of an interval, or of a cron of every second
	spec             *cron.Spec // of any other cron. It is the product's: fsm/cron has an oracle of its own
	zone             *time.Location
}

func newWhen(c *fsmpb.SetSchedule, created int64) (w when, err error) {
	w = when{set: c, anchor: created, interval: c.EveryMs, zone: time.UTC}
	if c.StartMs != 0 {
		w.anchor = c.StartMs
	}
	switch {
	case c.Cron == "":
		return w, nil
	case c.Cron == "* * * * * *" && len(c.ZoneData) == 0:
		w.anchor, w.interval = 0, 1000
		return w, nil
	case len(c.ZoneData) > 0:
		if w.zone, err = time.LoadLocationFromTZData(c.Zone, c.ZoneData); err != nil {
			return w, err
		}
	}
	w.spec, err = cron.Parse(c.Cron, c.Namespace+"/"+c.Name)
	return w, err
}

// same reports whether two have the same ticks, due at the same times.
func (w *when) same(o *when) bool {
	a, b := w.set, o.set
	return a.Cron == b.Cron && a.EveryMs == b.EveryMs && bytes.Equal(a.ZoneData, b.ZoneData) &&
		a.StartMs == b.StartMs && a.EndMs == b.EndMs && a.JitterMs == b.JitterMs
}

// after is the first tick after a time; 0: there is none. The start may be one itself, the end is none.
func (w *when) after(ms int64) int64 {
	ms = max(ms, w.set.StartMs-1)
	at := int64(0)
	if w.spec == nil {
		at = w.anchor
		if ms >= at {
			at += ((ms-w.anchor)/w.interval + 1) * w.interval
		} else if w.set.StartMs == 0 {
			at -= (at - ms - 1) / w.interval * w.interval
		}
	} else if next := w.spec.Next(time.UnixMilli(ms).In(w.zone)); !next.IsZero() {
		at = next.UnixMilli()
	}
	if w.set.EndMs != 0 && at >= w.set.EndMs {
		return 0
	}
	return at
}

// dueAt is when a tick is due: up to its jitter later, by a hash of it, and before the tick after it is one.
func (w *when) dueAt(tick int64) int64 {
	most := w.set.JitterMs
	if tick == 0 || most == 0 {
		return tick
	}
	if next := w.after(tick); next != 0 {
		most = min(most, next-tick-1)
	}
	h := sha256.New()
	h.Write([]byte("fanfold tick\x00" + w.set.Namespace + "\x00" + w.set.Name + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(tick)))
	return tick + int64(binary.BigEndian.Uint64(h.Sum(nil)[2:])%uint64(most+1))
}
