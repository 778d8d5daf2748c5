package main

import "encoding/json"

// A sandbox is put back to the state after its start before each call, so what encoding/json learns of these types here it learns
// once, not once a call.
var _ = warmUp()

func warmUp() (err error) {
	for _, args := range []any{&statusArgs{}, &map[string]json.RawMessage{}, &fetchArgs{}, &summarizeArgs{}, &countArgs{}} {
		err = json.Unmarshal([]byte("{}"), args)
	}
	for _, reply := range []any{
		statusReply{Sandbox: &sandboxStatus{}}, fetchReply{}, summarizeReply{Sentences: make([]picked, 1)}, countReply{},
	} {
		_, err = json.Marshal(reply)
	}
	return err
}
