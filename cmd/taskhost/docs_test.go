package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocsRun runs what README.md and docs/*.md show. The convention for their authors:
//
//   - A block marked ```console is a terminal session. Its lines that begin with "$ " are commands, and lines that begin with "> " go on
//     with the command before; the rest is output, which is shown and not compared.
//   - All blocks of one document run in their order in one sh -e, so variables and the working folder stay, as they do for a reader who
//     pastes them. The folder holds README.md, docs/ and testdata/ of the repository, and build/ with build/taskhost and the plugins, as
//     copies or links; taskhost is in PATH, too.
//   - A command that is shown because it fails is followed by a line "(exit code N)", and must end with this code.
//   - A command "taskhost serve ... &" starts a server; the next command runs when it is ready. It listens on a port that is free, which
//     takes the place of 127.0.0.1:8080 and localhost:8080 in all commands, so that these can be written as a reader types them. A line
//     "^C" stops it; so does the end of the document.
//   - A block marked ```sh is not run. It is for installing things and for make, which CI runs itself.
func TestDocsRun(t *testing.T) {
	t.Parallel()
	root := repository(t)
	env := scriptEnv(t)
	program := warmCache(t, env) // what is shown is looked for here, not races
	env = append(env, "PATH="+filepath.Dir(program)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append([]string{filepath.Join(root, "README.md")}, docs...) {
		blocks := consoleBlocks(t, doc)
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(doc), func(t *testing.T) {
			t.Parallel()
			var script strings.Builder
			script.WriteString(serverFunctions)
			for _, b := range blocks {
				fmt.Fprintf(&script, "echo '== line %d'\n%s", b.line, b.script)
			}
			addr := freeAddress(t)
			text := strings.NewReplacer("127.0.0.1:8080", addr, "localhost:8080", addr).Replace(script.String())
			cmd := exec.Command("sh", "-e", "-c", text)
			cmd.Dir = docsFolder(t, root, program)
			cmd.Env = append(os.Environ(), env...)
			cmd.Env = append(cmd.Env, "TASKHOST_PLUGINS=", "TASKHOST_LISTEN="+addr) // as it is for a reader
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the block at the last line number fails: %v\n%s", err, out)
			}
		})
	}
}

// serverFunctions wait for the server that was started last, and stop it.
const serverFunctions = `
started() {
	server=$!
	trap stopped EXIT
	tries=0
	until taskhost health >/dev/null 2>&1; do
		tries=$((tries+1))
		if [ $tries -gt 500 ]; then echo "the server does not start"; exit 98; fi
		sleep 0.1
	done
}
stopped() {
	code=$?
	trap - EXIT
	kill $server
	wait $server || true
	return $code
}
`

// freeAddress is an address on loopback that nobody uses at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// block is a terminal session of a document.
type block struct {
	line   int
	script string
}

func consoleBlocks(t *testing.T, doc string) []block {
	t.Helper()
	f, err := os.Open(doc)
	if os.IsNotExist(err) {
		t.Fatalf("%s is not there", doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var blocks []block
	var current *block
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		switch {
		case current == nil && strings.TrimSpace(line) == "```console":
			current = &block{line: n}
		case current == nil:
		case strings.TrimSpace(line) == "```":
			blocks = append(blocks, *current)
			current = nil
		default:
			current.add(strings.TrimSpace(line))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return blocks
}

// add takes one line of a session.
func (b *block) add(line string) {
	var code int
	switch {
	case strings.HasPrefix(line, "$ taskhost serve") && strings.HasSuffix(line, "&"):
		b.script += strings.TrimPrefix(line, "$ ") + "\nstarted\n"
	case line == "^C":
		b.script += "stopped\n"
	case strings.HasPrefix(line, "$ "):
		b.script += strings.TrimPrefix(line, "$ ") + "\n"
	case strings.HasPrefix(line, "> "):
		b.script += strings.TrimPrefix(line, "> ") + "\n"
	default:
		if n, _ := fmt.Sscanf(line, "(exit code %d)", &code); n == 1 {
			b.script = strings.TrimSuffix(b.script, "\n") + fmt.Sprintf(" && exit 99 || [ $? -eq %d ]\n", code)
		}
	}
}

// docsFolder makes the folder in which a document's commands run.
func docsFolder(t *testing.T, root, program string) string {
	t.Helper()
	dir := t.TempDir()
	build := filepath.Join(dir, "build")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(build, 0o755))
	for _, name := range []string{"plugins", "testdata"} { // copies: documents drop files into them
		must(os.CopyFS(filepath.Join(build, name), os.DirFS(filepath.Join(root, "build", name))))
	}
	must(os.Symlink(program, filepath.Join(build, "taskhost")))
	must(os.CopyFS(filepath.Join(dir, "docs"), os.DirFS(filepath.Join(root, "docs"))))
	must(os.Symlink(filepath.Join(root, "testdata"), filepath.Join(dir, "testdata")))
	for _, name := range []string{"README.md", "go.mod"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		must(err)
		must(os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return dir
}
