package netem

import (
	"context"
	"net"
	"os"
	"syscall"
)

// A door that refuses has to keep its port: others would get it meanwhile. So a socket is bound to the port all along and
// never listens; those that do come and go beside it.

// soReusePort lets several sockets of a user have one port. Package syscall lacks it.
const soReusePort = 15

// mayRefuse says that a port can be kept without listening to it.
const mayRefuse = true

// listen listens to a port of this machine that a keeper has, or to a new one.
func listen(address string) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) { err = reuse(int(fd)) }); e != nil {
			return e
		}
		return err
	}}
	return c.Listen(context.Background(), "tcp4", address)
}

func reuse(fd int) error {
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1))
}

// keep binds a socket to a port that this process listens to, until it is closed.
func keep(at *net.TCPAddr) (keeper, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err = reuse(fd); err == nil {
		err = os.NewSyscallError("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}))
	}
	if err != nil {
		_ = syscall.Close(fd)
		return 0, err
	}
	return keeper(fd), nil
}

// keeper is a socket that is bound and does not listen.
type keeper int

func (k keeper) Close() error { return os.NewSyscallError("close", syscall.Close(int(k))) }
