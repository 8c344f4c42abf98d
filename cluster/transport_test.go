package cluster

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func listen(t *testing.T, clusterID string) *streamLayer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &streamLayer{Listener: listener, dial: dialTCP, self: ServerAddress(listener.Addr().String(), "api:1"), clusterID: func() string { return clusterID }, open: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestServerAddress_CarriesBothAddresses(t *testing.T) {
	raftAddress, apiAddress := splitAddress(ServerAddress("a:1", "b:2"))
	if raftAddress != "a:1" || apiAddress != "b:2" {
		t.Errorf("%q, %q", raftAddress, apiAddress)
	}
	if _, apiAddress := splitAddress(""); apiAddress != "" {
		t.Errorf("no address has the API address %q", apiAddress)
	}
}

func TestStreamLayer_TurnsStrangersAway(t *testing.T) {
	ours, theirs := strings.Repeat("a", clusterIDLen), strings.Repeat("b", clusterIDLen)
	for _, test := range []struct {
		name   string
		server string
		dial   func(to *streamLayer) (net.Conn, error)
		want   string // the error, "" = welcome
	}{
		{"the same cluster", ours, dialAs(ours), ""},
		{"a node that knows no cluster yet", ours, dialAs(""), ""},
		{"a server that knows no cluster yet", "", dialAs(ours), ""},
		{"another cluster", ours, dialAs(theirs), "belongs to cluster"},
		{"another protocol", ours, func(to *streamLayer) (net.Conn, error) {
			conn, err := net.Dial("tcp", to.Listener.Addr().String())
			if err == nil {
				_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: somewhere.example.org\r\n\r\n"))
			}
			return conn, err
		}, "does not speak"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := listen(t, test.server)
			conn, err := test.dial(server)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			accepted, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			_, err = io.ReadFull(accepted, got)
			if test.want == "" && (err != nil || string(got) != "hello") {
				t.Errorf("%q, %v", got, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func dialAs(clusterID string) func(*streamLayer) (net.Conn, error) {
	return func(to *streamLayer) (net.Conn, error) {
		from := &streamLayer{dial: dialTCP, clusterID: func() string { return clusterID }, open: map[net.Conn]bool{}}
		return from.Dial(to.self, time.Minute)
	}
}

// Raft's transport leaves the connections that it serves open at its end.
func TestStreamLayer_CloseEndsEveryConnection(t *testing.T) {
	server := listen(t, "")
	conn, err := dialAs("")(server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); err == nil {
		t.Error("an accepted connection is open")
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the other side's connection is open")
	}
	if _, err := server.track(conn); err == nil {
		t.Error("a closed layer takes a connection")
	}
	var _ raft.StreamLayer = server
}
