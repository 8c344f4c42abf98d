package netem_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/netem"
)

// echo answers every line with itself, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

type world struct {
	t   *testing.T
	net *netem.Network
	c   net.Conn
	r   *bufio.Reader
}

// newWorld is a connection from host a to an echo at host b.
func newWorld(t *testing.T) *world {
	w := &world{t: t, net: netem.New()}
	door, err := w.net.Door("a", "b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	if w.c, err = net.Dial("tcp", door); err != nil {
		t.Fatal(err)
	}
	w.r = bufio.NewReader(w.c)
	t.Cleanup(func() {
		w.c.Close()
		if err := w.net.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) say(line string) {
	w.t.Helper()
	if _, err := io.WriteString(w.c, line+"\n"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hear(line string) {
	w.t.Helper()
	_ = w.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := w.r.ReadString('\n'); err != nil || got != line+"\n" {
		w.t.Fatalf("heard %q, %v; want %q", got, err, line)
	}
}

// silent checks that nothing comes for a while: a cut must not leak. (A slow machine can only make it
// pass.)
func (w *world) silent() {
	w.t.Helper()
	_ = w.c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := w.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatalf("heard %q, %v over a cut link", b, err)
	}
}

func TestSet_ACutHoldsBytesUntilItHeals(t *testing.T) {
	for _, dir := range [][2]string{{"a", "b"}, {"b", "a"}} {
		t.Run(dir[0]+" to "+dir[1], func(t *testing.T) {
			w := newWorld(t)
			w.say("one")
			w.hear("one")
			w.net.Set(dir[0], dir[1], netem.Fault{Cut: true})
			w.say("two")
			w.silent()
			if w.net.Held(dir[0], dir[1]) == 0 {
				t.Error("the cut held nothing")
			}
			w.net.Heal()
			w.hear("two")
		})
	}
}

func TestSet_AOneWayCutLeavesTheOtherWayOpen(t *testing.T) {
	w := newWorld(t)
	w.say("one")
	w.hear("one")
	before := w.net.Forwarded("a", "b")
	w.net.Set("b", "a", netem.Fault{Cut: true})
	w.say("two")
	w.silent()
	if w.net.Forwarded("a", "b") == before {
		t.Error("nothing went from a to b, which is not cut")
	}
}

func TestSet_AConnectionOpenedOverACutWaits(t *testing.T) {
	n := netem.New()
	defer n.Close()
	door, err := n.Door("a", "b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	n.Set("a", "b", netem.Fault{Cut: true})
	c, err := net.Dial("tcp", door)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, net: n, c: c, r: bufio.NewReader(c)}
	defer c.Close()
	w.say("hello")
	w.silent()
	n.Heal()
	w.hear("hello")
}

func TestSet_ADelayIsAtLeastThat(t *testing.T) {
	w := newWorld(t)
	const delay = 30 * time.Millisecond
	w.net.Set("a", "b", netem.Fault{Delay: delay, Jitter: 5 * time.Millisecond})
	start := time.Now()
	w.say("slow")
	w.hear("slow")
	if took := time.Since(start); took < delay {
		t.Errorf("it took %v under a delay of %v", took, delay)
	}
}

func TestSet_ARateIsNotExceeded(t *testing.T) {
	w := newWorld(t)
	w.net.Set("a", "b", netem.Fault{BytesPerSecond: 100_000})
	start := time.Now()
	w.say(string(make([]byte, 20_000)))
	w.hear(string(make([]byte, 20_000)))
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("20,000 bytes took %v at 100,000 bytes a second", took)
	}
}

func TestReset_BreaksConnections(t *testing.T) {
	w := newWorld(t)
	w.say("one")
	w.hear("one")
	if n := w.net.Reset("b", "a"); n != 2 {
		t.Errorf("%d streams were reset, want both ends of the connection", n)
	}
	_ = w.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := w.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection lives after a reset: %v", err)
	}
}
