package fsm

import (
	"bytes"
	"fmt"
	"strings"
)

// hooks recomputes what webhooks say twice: graphs and receipts of sources, counts and indexes of endpoints.
func (c *checker) hooks() {
	m := c.m
	sources, receipts := 0, map[uint64]uint64{}
	m.disk.scan([]byte{tagReceipt}, []byte{tagReceipt + 1}, func(k, b []byte) bool {
		r := decodeReceipt(b)
		receipts[r.source]++
		c.timers[string(keyTimer(r.expires, dutyReceipt, TaskRef{Job: JobID(k[1:])}))] = true
		return true
	})
	m.disk.scan([]byte{tagSource}, []byte{tagSource + 1}, func(k, b []byte) bool {
		ns, name := parseHookName(k)
		s := decodeSource(ns, name, b)
		sources++
		c.refs[s.graph]++
		if receipts[s.id] != s.receipts {
			c.bad("webhook source %s has %d receipts and says %d", s.name, receipts[s.id], s.receipts)
		}
		return true
	})
	if sources != m.hooks.sources {
		c.bad("%d webhook sources are stored and %d in memory", sources, m.hooks.sources)
	}
	keys := map[string]bool{}
	endpoints := 0
	m.disk.scan([]byte{tagEndpoint}, []byte{tagEndpoint + 1}, func(k, b []byte) bool {
		ns, name := parseHookName(k)
		endpoints++
		p := m.hooks.byName[ns][name]
		if p == nil || m.hooks.byID[p.id] != p || !bytes.Equal(p.encode(), b) {
			c.bad("webhook endpoint %s is stored and not the one in memory", name)
			return true
		}
		c.deliveries(p, keys)
		return true
	})
	if endpoints != len(m.hooks.byID) {
		c.bad("%d webhook endpoints are stored and %d in memory", endpoints, len(m.hooks.byID))
	}
	c.index("delivery", tagDelivery, keys)
}

// deliveries collects the keys that an endpoint's deliveries imply, and counts them.
func (c *checker) deliveries(p *hookEndpoint, keys map[string]bool) {
	var pending, ended uint64
	low := append(keyDeliveries(p.id), partDelivery)
	c.m.disk.scan(low, prefixEnd(low), func(k, b []byte) bool {
		d := decodeDelivery(parseDelivery(k), b)
		keys[string(k)] = true
		if d.state == DeliveryPending {
			pending++
			keys[string(keyDue(d.ref, d.dueMS))] = true
			return true
		}
		ended++
		if at := c.m.disk.get(keyEnded(p.id, d.place)); !bytes.Equal(at, be.AppendUint64(nil, d.ref.Seq)) || d.place < p.head || d.place >= p.tail {
			c.bad("delivery %d of endpoint %s ended at place %d, where another is", d.ref.Seq, p.name, d.place)
		}
		keys[string(keyEnded(p.id, d.place))] = true
		return true
	})
	if pending != p.pending || ended != p.ended {
		c.bad("webhook endpoint %s has %d pending and %d ended deliveries and says %d and %d", p.name, pending, ended, p.pending, p.ended)
	}
	if p.pending > pendingMax || p.ended > endedMax {
		c.bad("webhook endpoint %s is over its bounds: %d pending, %d ended", p.name, p.pending, p.ended)
	}
}

// dumpHooks prints sources, endpoints and deliveries, without secrets.
func (v *View) dumpHooks(b *strings.Builder) {
	sources, err := v.Sources("")
	must(err)
	for _, s := range sources {
		fmt.Fprintf(b, "source %s %s runs %s secrets %d paused %v received %d duplicates %d\n", s.Name, s.Scheme, s.Workflow, len(s.Secrets), s.Paused, s.Received, s.Duplicates)
	}
	endpoints, err := v.Endpoints("")
	must(err)
	for _, p := range endpoints {
		fmt.Fprintf(b, "endpoint %s %s secrets %d paused %v disabled %q pending %d delivered %d failed %d dropped %d\n",
			p.Name, p.URL, len(p.Secrets), p.Paused, p.Disabled, p.Pending, p.Delivered, p.Failed, p.Dropped)
		low := append(keyDeliveries(p.ID), partDelivery)
		v.disk.scan(low, prefixEnd(low), func(k, val []byte) bool {
			d := decodeDelivery(parseDelivery(k), val)
			fmt.Fprintf(b, "  delivery %d %s %s %s attempts %d", d.ref.Seq, d.event, d.job, d.state, d.attempts)
			if d.state == DeliveryPending {
				fmt.Fprintf(b, " due %d", d.dueMS)
			}
			fmt.Fprintln(b)
			return true
		})
	}
}
