//go:build !linux

package netem

import "net"

// mayRefuse says that a port can be kept without listening to it. Here a door to a host that is down takes connections and
// breaks them.
const mayRefuse = false

func listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

func keep(*net.TCPAddr) (keeper, error) { return keeper{}, nil }

type keeper struct{}

func (keeper) Close() error { return nil }
