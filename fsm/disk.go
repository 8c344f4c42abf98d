package fsm

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// disk reads what Pebble has committed, as of now or as of a snapshot.
type disk struct{ r pebble.Reader }

func (d disk) get(key []byte) []byte {
	v, closer, err := d.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	must(err)
	v = append(make([]byte, 0, len(v)), v...)
	must(closer.Close())
	return v
}

func (d disk) mustGet(key []byte) []byte { return present(d.get(key), key) }

func present(v, key []byte) []byte {
	if v == nil {
		panic(fault{fmt.Errorf("fsm: key %x is missing: the state is damaged", key)})
	}
	return v
}

// scan calls f for every key in [low, high), in order, until f returns false. Key and value are
// valid only during the call.
func (d disk) scan(low, high []byte, f func(key, val []byte) bool) {
	it, err := d.r.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	must(err)
	defer func() { must(it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		must(err)
		if !f(it.Key(), v) {
			return
		}
	}
	must(it.Error())
}
