package project

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

//go:embed kept.mjs
var keptScript string

// Tools are compilers that are kept loaded between builds, for who builds again and again. The zero value is ready. Its methods are safe for
// concurrent use; builds that need the same compiler wait for each other.
type Tools struct {
	mu     sync.Mutex
	asc    *keptASC
	closed bool
}

// Close ends the compilers. Builds that come later start their own.
func (t *Tools) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.end()
}

func (t *Tools) end() {
	if t.asc != nil {
		t.asc.end()
		t.asc = nil
	}
}

// keptASC is a node that has loaded asc.
type keptASC struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	stamp string // of the compiler that it has loaded
	dir   string // where it runs
}

// end kills it.
func (k *keptASC) end() {
	_ = k.in.Close()
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// ascAnswer is what comes of a build. kept.mjs has the same.
type ascAnswer struct {
	Failed bool   `json:"failed"`
	Output string `json:"output"`
}

// compile builds with an asc that is loaded; ok is false when there is none, and the build has to start its own.
func (t *Tools) compile(ctx context.Context, b *builder, node tool, asc string, args []string) (answer ascAnswer, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || !t.start(b, node, asc) {
		return answer, false
	}
	k := t.asc
	// Nobody who waits for the compiler can be told to stop but by its end; the next build loads it again.
	stop := context.AfterFunc(ctx, func() { _ = k.cmd.Process.Kill() })
	line, err := json.Marshal(args)
	if err == nil {
		_, err = k.in.Write(append(line, '\n'))
	}
	if err == nil {
		line, err = k.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if !stop() || err != nil {
		t.end()
		return answer, false
	}
	return answer, true
}

// start sees to it that the compiler is loaded, as it is now.
func (t *Tools) start(b *builder, node tool, asc string) bool {
	st, err := os.Stat(asc)
	if err != nil {
		return false
	}
	stamp := fmt.Sprintf("%s %d %d", asc, st.Size(), st.ModTime().UnixNano())
	if t.asc != nil && t.asc.stamp == stamp && t.asc.dir == b.Dir {
		return true
	}
	t.end()
	path, err := b.path(node)
	if err != nil {
		return false
	}
	script := filepath.Join(b.cache, "kept.mjs")
	if os.WriteFile(script, []byte(keptScript), 0o600) != nil {
		return false
	}
	k := &keptASC{cmd: exec.Command(path, "--enable-source-maps", script, asc), stamp: stamp, dir: b.Dir} //nolint:noctx // it outlives the build
	k.cmd.Dir = b.Dir
	k.cmd.Env = append(os.Environ(), node.env...)
	if k.in, err = k.cmd.StdinPipe(); err != nil {
		return false
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil || k.cmd.Start() != nil {
		return false
	}
	k.out = bufio.NewReader(out)
	t.asc = k
	return true
}
