package netem_test

import (
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/netem"
)

func onLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a port is kept without listening to it on Linux only")
	}
}

// until asks again and again, for a while.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// refused reports whether a connection to an address is refused.
func refused(address string) bool {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// TestDoor_RefusesWhileNobodyListens: a host whose process has ended refuses, and so does the door to it; whoever had a
// connection is refused already when it hears of the end. A cut link refuses nobody.
func TestDoor_RefusesWhileNobodyListens(t *testing.T) {
	onLinux(t)
	n := netem.New()
	defer n.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	door, err := n.Door("a", "b", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c, err := net.Dial("tcp", door)
		if err != nil {
			t.Fatal(err)
		}
		served, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		served.Close()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the end of the connection: %v", err)
		}
		if !refused(door) {
			t.Fatal("the door does not refuse")
		}
		c.Close()
		n.Set("a", "b", netem.Fault{Cut: true})
		until(t, "a cut link does not refuse", func() bool { return !refused(door) })
		n.Heal()
		until(t, "the healed link refuses", func() bool { return refused(door) })
		if l, err = net.Listen("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		until(t, "the door is open again", func() bool { return !refused(door) })
	}
}

// TestDoor_KeepsItsPort: nobody else gets it while it refuses.
func TestDoor_KeepsItsPort(t *testing.T) {
	onLinux(t)
	n := netem.New()
	defer n.Close()
	door, err := n.Door("a", "b", "127.0.0.1:1") // nobody listens there
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the door refuses", func() bool { return refused(door) })
	if l, err := net.Listen("tcp", door); err == nil {
		l.Close()
		t.Error("another has got the port")
	}
}
