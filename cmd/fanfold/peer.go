package main

import (
	"fmt"
	"strings"
)

// peer is a node as written on the command line: id=raft-address/api-address.
type peer struct{ id, raft, api string }

func parsePeer(text string) (peer, error) {
	id, addresses, ok := strings.Cut(text, "=")
	raft, api, both := strings.Cut(addresses, "/")
	if !ok || !both || id == "" || raft == "" || api == "" {
		return peer{}, fmt.Errorf("bad node %q: write id=raft-host:port/api-host:port", text)
	}
	return peer{id: id, raft: raft, api: api}, nil
}
