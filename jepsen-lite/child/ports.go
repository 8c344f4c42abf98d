package child

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports are taken from below the range that systems hand out to outgoing connections, because a
// node that was killed must find its port free again.
const (
	firstPort = 20_000
	lastPort  = 31_999
)

// Ports returns n different free loopback addresses.
func Ports(n int) ([]string, error) {
	taken := make(map[string]bool, n)
	var addresses []string
	for tries := 0; len(addresses) < n; tries++ {
		if tries > 1000 {
			return nil, errors.New("no free loopback port found between 20000 and 31999")
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort+1)))
		if !taken[address] && Free(address) {
			taken[address] = true
			addresses = append(addresses, address)
		}
	}
	return addresses, nil
}

// Free reports whether one can listen on address.
func Free(address string) bool {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}
