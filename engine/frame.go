package engine

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// An entry is written in pieces that add up to fsm.EncodeEntry's bytes: a header, then each command
// framed as one element of Entry.commands. So commands are marshalled where they are made, in
// parallel, their exact sizes are known, and the loop only copies. TestEntry_PiecesAddUp pins this.
const (
	fieldNowMS    = 1
	fieldCommands = 2
	headerMax     = 16
)

func appendHeader(b []byte, nowMS int64) []byte {
	b = append(b, fsm.FormatEntry)
	if nowMS != 0 {
		b = protowire.AppendTag(b, fieldNowMS, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(nowMS))
	}
	return b
}

// frame marshals commands one after another; ends[i] is where command i ends in frames.
func frame(cmds []*fsmpb.Command) (frames []byte, ends []int, err error) {
	size := 0
	ends = make([]int, len(cmds))
	for i, c := range cmds {
		n := proto.Size(c)
		ends[i] = n
		size += n + protowire.SizeTag(fieldCommands) + protowire.SizeVarint(uint64(n))
	}
	frames = make([]byte, 0, size)
	cached := proto.MarshalOptions{UseCachedSize: true}
	for i, c := range cmds {
		frames = protowire.AppendTag(frames, fieldCommands, protowire.BytesType)
		frames = protowire.AppendVarint(frames, uint64(ends[i]))
		if frames, err = cached.MarshalAppend(frames, c); err != nil {
			return nil, nil, fmt.Errorf("engine: marshal command: %w", err)
		}
		ends[i] = len(frames)
	}
	return frames, ends, nil
}
