//go:build !wasip1

package taskhost_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	taskhost "github.com/taskhost/taskhost/sdk/go"
	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

// In a plugin this function is marked with "//go:wasmexport process".
func process() int32 { return taskhost.Process(shout) }

func shout(text string) (string, error) {
	mark, ok := taskhost.Config("mark")
	if !ok {
		mark = "!"
	}
	return strings.ToUpper(text) + mark, nil
}

func ExampleProcess() {
	r := sdktest.Run(sdktest.Call{Input: []byte("hi"), Config: map[string]string{"mark": "?"}}, process)
	fmt.Println(r.Code, string(r.Output))
	// Output: 0 HI?
}

type divideArgs struct {
	A int `json:"a"`
	B int `json:"b"`
}

type divideReply struct {
	Quotient int `json:"quotient"`
}

// In a plugin this function is marked with "//go:wasmexport divide".
func divide() int32 {
	return taskhost.Action(func(args divideArgs) (divideReply, error) {
		if args.B == 0 {
			return divideReply{}, taskhost.InvalidInputf("argument b is 0")
		}
		return divideReply{args.A / args.B}, nil
	})
}

func ExampleAction() {
	r := sdktest.Run(sdktest.Call{Input: []byte(`{"a": 7, "b": 2}`)}, divide)
	fmt.Println(r.Code, string(r.Output))
	r = sdktest.Run(sdktest.Call{Input: []byte(`{"a": 7}`)}, divide)
	fmt.Println(r.Code, r.Error)
	// Output:
	// 0 {"quotient":3}
	// 1 argument b is 0
}

func ExampleProgress() {
	count := func() int32 {
		return taskhost.Process(func(text string) (string, error) {
			lines := strings.Split(text, "\n")
			for i, line := range lines {
				if taskhost.Cancelled() {
					return "", taskhost.ErrCancelled
				}
				taskhost.Progress(i+1, len(lines), line)
			}
			return strconv.Itoa(len(lines)), nil
		})
	}
	for _, p := range sdktest.Run(sdktest.Call{Input: []byte("one\ntwo")}, count).Progress {
		fmt.Println(p.Fraction, p.Message)
	}
	// Output:
	// 0.5 one
	// 1 two
}

func ExampleSaveCheckpoint() {
	sum := func() int32 {
		return taskhost.Process(func(text string) (string, error) {
			state := struct{ Next, Sum int }{}
			if saved := taskhost.LoadCheckpoint(); saved != nil {
				if err := json.Unmarshal(saved, &state); err != nil {
					return "", fmt.Errorf("the checkpoint: %w", err)
				}
			}
			for words := strings.Fields(text); state.Next < len(words); state.Next++ {
				n, err := strconv.Atoi(words[state.Next])
				if err != nil {
					return "", err
				}
				state.Sum += n
				saved, err := json.Marshal(struct{ Next, Sum int }{state.Next + 1, state.Sum})
				if err != nil {
					return "", err
				}
				if err := taskhost.SaveCheckpoint(saved); err != nil {
					taskhost.Log(taskhost.LevelWarn, "%v", err) // and go on without
				}
			}
			return strconv.Itoa(state.Sum), nil
		})
	}
	first := sdktest.Run(sdktest.Call{Input: []byte("1 2 x 4")}, sum)
	fmt.Printf("%s; checkpoint %s\n", first.Error, first.Checkpoint)
	second := sdktest.Run(sdktest.Call{Input: []byte("1 2 3 4"), Checkpoint: first.Checkpoint}, sum)
	fmt.Printf("%s\n", second.Output)
	// Output:
	// strconv.Atoi: parsing "x": invalid syntax; checkpoint {"Next":2,"Sum":3}
	// 10
}
