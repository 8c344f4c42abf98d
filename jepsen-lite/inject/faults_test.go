//go:build chaos

package inject

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
)

func memoryLogs(string) (cluster.LogStores, error) {
	store := raft.NewInmemStore()
	return cluster.LogStores{Log: store, Stable: store, Close: func() error { return nil }}, nil
}

func disk(does inside.Behaviour) inside.Order {
	return inside.Order{Disk: inside.Disk{Does: does, Log: true, State: true}}
}

func TestLogs_AnErrorMayComeAfterTheWrite(t *testing.T) {
	f := New(inside.Order{})
	stores, err := f.Logs(memoryLogs)("")
	if err != nil {
		t.Fatal(err)
	}
	f.Give(disk(inside.Error))
	written, before := uint64(0), uint64(0)
	for index := uint64(1); index <= 100; index++ {
		if err := stores.Log.StoreLog(&raft.Log{Index: index}); !errors.Is(err, syscall.EIO) {
			t.Fatalf("a write to a failing disk: %v", err)
		}
		if last, _ := stores.Log.LastIndex(); last > before {
			before, written = last, written+1
		}
	}
	if written < 10 || written > 90 {
		t.Errorf("%d of 100 writes happened in spite of their error; about half should", written)
	}
	if got := f.Effects().Failed; got != 100 {
		t.Errorf("%d failures counted, not 100", got)
	}
}

func TestFS_FullDiskRefusesWritesAndServesReads(t *testing.T) {
	f := New(inside.Order{})
	fs := f.FS(vfs.NewMem())
	file, err := fs.Create("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	f.Give(disk(inside.Full))
	if _, err := file.Write([]byte("after")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write to a full disk: %v", err)
	}
	if _, err := fs.Create("b", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a new file on a full disk: %v", err)
	}
	opened, err := fs.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(opened); string(content) != "before" || err != nil {
		t.Errorf("read from a full disk: %q, %v", content, err)
	}
	if err := errors.Join(file.Sync(), fs.Remove("a")); err != nil {
		t.Errorf("syncing and removing on a full disk: %v", err)
	}
	if got := f.Effects().Refused; got != 2 {
		t.Errorf("%d refusals counted, not 2", got)
	}
}

func TestFS_AHangEndsWhenItIsLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(disk(inside.Hang))
		fs := f.FS(vfs.NewMem())
		done := make(chan error, 1)
		go func() { done <- fs.MkdirAll("d", 0o700) }()
		synctest.Wait()
		if f.Effects().Hung != 1 || len(done) != 0 {
			t.Fatalf("a write to a hanging disk returned, or was not counted: %+v", f.Effects())
		}
		f.Give(inside.Order{})
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestClock_OffsetAndFreeze(t *testing.T) {
	now := time.Now()
	f := New(inside.Order{})
	clock := f.Clock(func() time.Time { return now })
	if got := clock(); !got.Equal(now) || f.Effects().Misread != 0 {
		t.Errorf("a healthy clock: %v, %d misread", got, f.Effects().Misread)
	}
	f.Give(inside.Order{Clock: inside.Clock{Offset: -time.Hour}})
	if got := clock(); !got.Equal(now.Add(-time.Hour)) {
		t.Errorf("an hour back: %v of %v", got, now)
	}
	f.Give(inside.Order{Clock: inside.Clock{Frozen: true}})
	first := clock()
	now = now.Add(time.Minute)
	if got := clock(); !got.Equal(first) || f.Effects().Misread != 3 {
		t.Errorf("a frozen clock went from %v to %v; %d misread", first, got, f.Effects().Misread)
	}
}

func TestListener_TheCallIsCarriedOutAndItsReplyDropped(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			f := New(inside.Order{DropReplies: 1})
			calls := 0
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if calls++; r.Proto != version {
					t.Errorf("called by %s", r.Proto)
				}
			}))
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server.Listener.Close()
			server.Listener = f.Listener(listener)
			protocols := new(http.Protocols)
			protocols.SetHTTP1(version == "HTTP/1.1")
			protocols.SetUnencryptedHTTP2(version == "HTTP/2.0")
			server.Config.Protocols = protocols
			server.Start()
			defer server.Close()
			client := &http.Client{Transport: &http.Transport{Protocols: protocols, DisableKeepAlives: true}}
			post := func() error {
				response, err := client.Post(server.URL, "text/plain", nil)
				if err == nil {
					response.Body.Close()
				}
				return err
			}
			if err := post(); err == nil || calls != 1 || f.Effects().Dropped != 1 {
				t.Errorf("error %v, %d calls, %d dropped", err, calls, f.Effects().Dropped)
			}
			f.Give(inside.Order{})
			if err := post(); err != nil || calls != 2 {
				t.Errorf("after healing: %v, %d calls", err, calls)
			}
		})
	}
}

func TestFrameReader_FindsRepliesHoweverTheyAreCut(t *testing.T) {
	var stream []byte
	for _, frame := range []struct {
		kind byte
		size int
	}{{4, 18}, {1, 40}, {0, 300}, {1, 0}, {8, 4}, {1, 7}} {
		header := binary.BigEndian.AppendUint32(nil, uint32(frame.size))[1:]
		stream = append(append(append(stream, header...), frame.kind, 0, 0, 0, 0, 1), make([]byte, frame.size)...)
	}
	for size := 1; size <= len(stream); size++ {
		r, n := frameReader{}, 0
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			n += r.replies(rest[:min(size, len(rest))])
		}
		if n != 3 {
			t.Fatalf("in pieces of %d bytes there are %d replies, not 3", size, n)
		}
	}
}

func TestServe_OrdersArriveAndAreAnsweredWithEffects(t *testing.T) {
	f := New(inside.Order{})
	server := httptest.NewServer(http.HandlerFunc(f.handle))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	address := server.Listener.Addr().String()
	want := inside.Order{Clock: inside.Clock{Offset: time.Second}, Disk: inside.Disk{Does: inside.Slow, Log: true, Delay: time.Minute}}
	if _, err := inside.Give(ctx, address, want); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := f.current(); got != want {
		t.Errorf("ordered %+v, in force is %+v", want, got)
	}
	f.Clock(nil)()
	if e, err := inside.Ask(ctx, address); err != nil || e.Misread != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}
