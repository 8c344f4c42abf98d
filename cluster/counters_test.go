package cluster

import (
	"reflect"
	"testing"

	"github.com/fanfold/fanfold/fsm"
)

// TestCounters_NoneIsForgotten: what the state machine counts, the API says, under the same name; and it
// says nothing else.
func TestCounters_NoneIsForgotten(t *testing.T) {
	var c fsm.Counters
	from := reflect.ValueOf(&c).Elem()
	for i := range from.NumField() {
		from.Field(i).SetUint(uint64(i + 1))
	}
	to := reflect.ValueOf(counters(c)).Elem()
	for i := range from.NumField() {
		name := from.Type().Field(i).Name
		f := to.FieldByName(name)
		if !f.IsValid() || f.Uint() != uint64(i+1) {
			t.Errorf("the API's Counters do not say %s", name)
		}
	}
	said := counters(c).ProtoReflect().Descriptor().Fields().Len()
	if said != from.NumField() {
		t.Errorf("the API has %d counters, the state machine %d", said, from.NumField())
	}
}
