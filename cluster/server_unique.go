package cluster

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// The names of modes, scopes and policies in the API. "" is the first of each.
var (
	uniqueModes  = []string{"unique", "throttle", "debounce", "keep-latest"}
	uniqueScopes = []string{"until-done", "until-success", "until-start"}
	uniqueOn     = []string{"existing", "replace", "reject"}
)

// uniqueOf translates a job's unique key. Without a key it is made of the input, as it was sent.
func uniqueOf(u *apiv1.Unique, input *fsmpb.Value) (*fsmpb.Unique, error) {
	if u == nil {
		return nil, nil
	}
	mode, err := nameAt("mode", u.GetMode(), uniqueModes)
	if err != nil {
		return nil, err
	}
	scope, err := nameAt("scope", u.GetScope(), uniqueScopes)
	if err != nil {
		return nil, err
	}
	on, err := nameAt("on_conflict", u.GetOnConflict(), uniqueOn)
	if err != nil {
		return nil, err
	}
	out := &fsmpb.Unique{
		Key: u.GetKey(), Derived: u.GetDerived(), Mode: fsmpb.Unique_Mode(mode), Scope: fsmpb.Unique_Scope(scope),
		OnConflict: fsmpb.Unique_Conflict(on), PeriodMs: u.GetPeriodMs(), MaxMs: u.GetMaxMs(),
	}
	if len(out.Key) > nameMax {
		return nil, invalid("the unique key has %d bytes; it may have %d: use a hash of it", len(out.Key), nameMax)
	}
	if out.Key == "" && input == nil {
		return nil, invalid("the unique key is missing: it can be derived of an input only, and here is none yet")
	}
	if out.Key == "" {
		sum := input.GetBlob().GetSha256()
		if input.GetBlob() == nil {
			of := sha256.Sum256(input.GetInline())
			sum = of[:]
		}
		out.Key, out.Derived = hex.EncodeToString(sum), true
	}
	return out, nil
}

func nameAt(what, name string, names []string) (int, error) {
	for i, n := range names {
		if name == n || name == "" {
			return i, nil
		}
	}
	return 0, invalid("%s of a unique key is %.32q: use one of %q", what, name, names)
}

func uniqueStatus(u *fsm.UniqueView) *apiv1.UniqueStatus {
	if u == nil {
		return nil
	}
	out := &apiv1.UniqueStatus{Holds: u.Holds, Unique: &apiv1.Unique{
		Mode: uniqueModes[u.Unique.GetMode()], Key: u.Unique.GetKey(), Derived: u.Unique.GetDerived(),
		Scope: uniqueScopes[u.Unique.GetScope()], OnConflict: uniqueOn[u.Unique.GetOnConflict()],
		PeriodMs: u.Unique.GetPeriodMs(), MaxMs: u.Unique.GetMaxMs(),
	}}
	if !u.WaitsFor.IsZero() {
		out.WaitsFor = u.WaitsFor.String()
	}
	return out
}
