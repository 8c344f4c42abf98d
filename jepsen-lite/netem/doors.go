package netem

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
)

// Doors say where a host finds the others: the address that everybody knows -> the door that only this
// host uses. An address without a door is dialed as it is.
type Doors map[string]string

// String is what ParseDoors reads.
func (d Doors) String() string {
	var pairs []string
	for _, address := range slices.Sorted(maps.Keys(d)) {
		pairs = append(pairs, address+"="+d[address])
	}
	return strings.Join(pairs, ",")
}

// ParseDoors reads address=door,...
func ParseDoors(text string) (Doors, error) {
	d := Doors{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair == "" {
			continue
		}
		address, door, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("netem: door %q is not of the form address=door", pair)
		}
		d[address] = door
	}
	return d, nil
}

// DialContext goes through the door of an address.
func (d Doors) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if door, ok := d[address]; ok {
		address = door
	}
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
}
