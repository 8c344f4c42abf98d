package engine

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// frame encodes commands one after another; ends[i] is where command i ends in frames. An entry is a
// header and such frames, so commands are encoded where they are made, by many goroutines, their exact
// sizes are known, and the loop only copies.
func frame(cmds []*fsmpb.Command) (frames []byte, ends []int, err error) {
	const perCommand = 6 // tag and length
	size := 0
	for _, c := range cmds {
		size += proto.Size(c) + perCommand
	}
	frames, ends = make([]byte, 0, size), make([]int, len(cmds))
	for i, c := range cmds {
		if frames, err = fsm.AppendCommand(frames, c); err != nil {
			return nil, nil, fmt.Errorf("engine: %w", err)
		}
		ends[i] = len(frames)
	}
	return frames, ends, nil
}
