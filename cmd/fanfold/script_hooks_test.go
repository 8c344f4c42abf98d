package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fanfold/fanfold/cluster/webhook"
)

// receiver: starts a server that events are delivered to and sets RECEIVER to its URL; receiver STATUS: from now on it
// answers so.
func scriptReceiver(ts *testscript.TestScript, neg bool, args []string) {
	status := ts.Value("receiver").(*atomic.Int32)
	if len(args) == 1 {
		status.Store(int32(mustInt(ts, args[0])))
		return
	}
	status.Store(http.StatusOK)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(int(status.Load())) }))
	ts.Defer(srv.Close)
	ts.Setenv("RECEIVER", srv.URL)
}

// post STATUS SECRETFILE PATH ID BODY: posts a message, signed as Standard Webhooks has it, to the node.
func scriptPost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: post STATUS SECRETFILE PATH ID BODY")
	}
	key, err := webhook.ParseSecret(webhook.Standard, strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	req, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("FANFOLD_ADDR")+args[2], strings.NewReader(args[4]))
	ts.Check(err)
	webhook.Sign(req.Header, [][]byte{key}, args[3], time.Now(), []byte(args[4]))
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode != mustInt(ts, args[0]) {
		ts.Fatalf("answered %d: %s", res.StatusCode, body)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}

// eventually TEXT COMMAND...: runs a command until its output has the text, for up to 20 s.
func scriptEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually TEXT COMMAND...")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("%s never printed %q", strings.Join(args[1:], " "), args[0])
}
