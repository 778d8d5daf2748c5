package host

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/taskhost/taskhost/abi"
)

func checkpointLoad(i *instance, stack []uint64) {
	stack[0] = i.put(i.current.Checkpoint)
}

// checkpointSave gives the guest 0, or the offset of a message that says why the state was not kept.
func checkpointSave(i *instance, stack []uint64) {
	state := i.block(abi.FuncCheckpointSave, stack[0])
	stack[0] = 0
	problem := ""
	switch {
	case len(state) > abi.MaxCheckpoint:
		problem = fmt.Sprintf("it has %d bytes, at most %d are kept; save less, such as where to go on", len(state), abi.MaxCheckpoint)
	case i.current.Save == nil:
		problem = "this call keeps none, for it is no attempt of a task; go on without, or run it as a task"
	default:
		i.leaveIfStopped()
		kept := bytes.Clone(state) // the guest's memory is used again; nil when there is no block
		if err := i.save(kept); err != nil {
			problem = err.Error()
		} else {
			i.current.Checkpoint = kept
		}
		i.leaveIfStopped()
	}
	if problem != "" {
		stack[0] = i.put([]byte(clip("checkpoint: "+problem, maxMessage)))
	}
}

// save calls Call.Save, which may wait, and makes an error of its panic. The time that it takes is none of the guest's slice.
func (i *instance) save(state []byte) (err error) {
	i.watch.GiveUp()
	defer func() {
		i.resumed = i.v.host.now()
		if r := recover(); r != nil {
			i.v.host.cfg.Logger.LogAttrs(i.parent, slog.LevelError, "saving a checkpoint panicked", slog.String("plugin", i.v.name),
				slog.String("task", i.current.Task), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("saving it panicked: %v", r)
		}
	}()
	return i.current.Save(state)
}

// leaveIfStopped ends the guest's call when it is to stop and has no time left to tidy up.
func (i *instance) leaveIfStopped() {
	i.leaveIfHalted()
	if i.v.grace == 0 && i.parent.Err() != nil {
		panic(interruption(context.Cause(i.parent), i.stop.limit))
	}
}
