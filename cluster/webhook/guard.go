package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ErrForbidden: the name of the receiver leads to an address that deliveries must not go to.
var ErrForbidden = errors.New("webhook: forbidden address")

// forbidden are the networks that nobody outside may make a node talk to: its own machine, its neighbours, the
// cloud's metadata service, and the ranges that lead to these by another spelling. (IANA's special-purpose registries.)
var forbidden = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Guard dials receivers, and no address but public ones. It looks at the address that the name has led to and dials
// that very address: a name that is resolved a second time could lead elsewhere (DNS rebinding).
type Guard struct {
	// Allow are networks that may be dialled although they are not public. Default none.
	Allow []netip.Prefix
	// Resolve finds a name's addresses. Default: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects to an address of the form ip:port. Default: TCP, 5 s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Allowed reports whether deliveries may go to an address.
func (g *Guard) Allowed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false
	}
	for _, p := range g.Allow {
		if p.Contains(a) {
			return true
		}
	}
	for _, p := range forbidden {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// DialContext is for http.Transport. All addresses of the name have to be allowed: one that is not is a reason to
// trust none of them.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("webhook: %s has no address", host)
	}
	for _, a := range addresses {
		if !g.Allowed(a) {
			leads := fmt.Sprint(a.Unmap())
			if leads != host {
				leads = host + ", which is " + leads + ","
			}
			return nil, fmt.Errorf("%w: %s is not public; a node may be allowed to by --webhook-allow", ErrForbidden, leads)
		}
	}
	dial := g.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	var failed []error
	for _, a := range addresses[:min(len(addresses), dialMax)] {
		conn, err := dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// dialMax bounds the addresses of one name that are tried.
const dialMax = 4

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if g.Resolve != nil {
		return g.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
