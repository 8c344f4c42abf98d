package site

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/fanfold/fanfold/jepsen-lite/child"
)

// Spare is a place for nodes that join and leave while the founders stay. Each node in it has an identity and a
// disk of its own. Nemeses leave it alone: it is used by the workload's goroutine.
type Spare struct {
	Place     string // the name of its host in the network
	API, Raft string
	// ID is the node that is there, or was there last; "" before the first.
	ID      string
	Process *child.Process
	log     string
	starts  int
}

// Former is a node that has left the cluster.
type Former struct {
	ID, Data, Archive string
	Applied           uint64 // what it had applied at least: all that is known to be committed in its log
}

// dirs are where the node that is in the place has its data, and what it cuts from its log.
func (s *Site) dirs(p *Spare) (data, archive string) {
	data = filepath.Join(s.cfg.Dir, p.ID)
	return data, data + "-cut"
}

// Join starts a node with a new identity and an empty disk in a place, which asks the founders to take it in.
func (s *Site) Join(p *Spare) error {
	doors, err := s.doorsOf(p.Place)
	if err != nil {
		return err
	}
	p.starts++
	p.ID = fmt.Sprintf("%s.%d", p.Place, p.starts)
	data, archive := s.dirs(p)
	args := append([]string{"node", "--id", p.ID, "--data", data, "--api", p.API, "--raft", p.Raft,
		"--join", strings.Join(s.Addresses(), ","), "--doors", doors.String(), "--archive", archive}, s.cfg.NodeArgs...)
	p.Process, err = start(s.cfg.NodeCommand, "node "+p.ID, p.log, args)
	return err
}

// Leave ends the process of a node that has left the cluster, and keeps what is to be judged of it. applied is what
// it had applied at least.
func (s *Site) Leave(ctx context.Context, p *Spare, applied uint64) error {
	var err error
	if p.Process.Running() {
		err = p.Process.Stop(ctx)
	}
	data, archive := s.dirs(p)
	s.Formers = append(s.Formers, Former{ID: p.ID, Data: data, Archive: archive, Applied: applied})
	p.Process = nil
	return err
}

// closeSpares ends what still runs in the places.
func (s *Site) closeSpares() {
	for _, p := range s.Spares {
		if p.Process != nil && p.Process.Running() {
			p.Process.Kill()
		}
	}
}
