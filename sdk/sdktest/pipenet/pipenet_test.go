package pipenet_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk/sdktest/pipenet"
)

func TestDial_RefusedWithoutListener(t *testing.T) {
	if _, err := pipenet.New().Dialer("a")(t.Context(), "tcp", "b:1"); err == nil {
		t.Error("no error")
	}
}

func TestCut_WritesWaitUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		l, err := n.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			data, _ := io.ReadAll(c)
			got <- string(data)
		}()
		c, err := n.Dialer("a")(t.Context(), "tcp", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		n.Cut("b", "a")
		go func() {
			io.WriteString(c, "hello")
			c.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dialer("a")(ctx, "tcp", "b:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial through a hole: %v", err)
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Error("a write went through a hole")
		}
		n.Heal()
		if s := <-got; s != "hello" {
			t.Errorf("got %q", s)
		}
	})
}

func TestKill_ClosesWhatTheHostHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipenet.New()
		l, err := n.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		go l.Accept()
		c, err := n.Dialer("a")(t.Context(), "tcp", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		n.Kill("b")
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection lives")
		}
		if _, err := l.Accept(); err == nil {
			t.Error("the listener lives")
		}
	})
}
