// Command guest does things to files, one for each group of arguments between "--", and prints what came of them.
// It is compiled to WASI for the tests of package rootfs.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	for _, call := range strings.Split(strings.Join(os.Args[1:], "\n"), "\n--\n") {
		args := strings.Split(call, "\n")
		out, err := run(args[0], args[1:])
		if err != nil {
			out = fmt.Sprintln("error:", err)
		}
		fmt.Print(out, "\x1e") // ends the answer
	}
}

func run(op string, args []string) (string, error) {
	switch op {
	case "read":
		b, err := os.ReadFile(args[0])
		return string(b), err
	case "write":
		return "", os.WriteFile(args[0], []byte(args[1]), 0o644)
	case "append":
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return "", err
		}
		defer f.Close()
		_, err = f.WriteString(args[1])
		return "", err
	case "create": // must not exist
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return "", err
		}
		return "", f.Close()
	case "patch": // at an offset, and back from there
		f, err := os.OpenFile(args[0], os.O_RDWR, 0)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(args[1]), 2); err != nil {
			return "", err
		}
		if err := f.Sync(); err != nil {
			return "", err
		}
		if _, err := f.Seek(-1, io.SeekEnd); err != nil {
			return "", err
		}
		last, err := io.ReadAll(f)
		if err != nil {
			return "", err
		}
		at := make([]byte, len(args[1]))
		_, err = f.ReadAt(at, 2)
		return string(at) + " " + string(last), err
	case "truncate":
		f, err := os.OpenFile(args[0], os.O_RDWR, 0)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return "", f.Truncate(3)
	case "ls":
		entries, err := os.ReadDir(args[0])
		var names []string
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() {
				name += "/"
			}
			names = append(names, name)
		}
		return strings.Join(names, " "), err
	case "lsagain": // a folder read in parts, then once more after a change
		d, err := os.Open(args[0])
		if err != nil {
			return "", err
		}
		defer d.Close()
		count := 0
		for {
			names, err := d.Readdirnames(7)
			count += len(names)
			if err == io.EOF {
				break
			}
			if err != nil {
				return "", err
			}
		}
		return fmt.Sprint(count), nil
	case "stat", "lstat":
		stat := os.Stat
		if op == "lstat" {
			stat = os.Lstat
		}
		st, err := stat(args[0])
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s %d %d", st.Mode().Type(), st.Size(), st.ModTime().Unix()), nil
	case "times":
		return "", os.Chtimes(args[0], time.Unix(1000, 0), time.Unix(2000, 0))
	case "mkdir":
		return "", os.Mkdir(args[0], 0o755)
	case "mkdirall":
		return "", os.MkdirAll(args[0], 0o755)
	case "remove":
		return "", os.Remove(args[0])
	case "removeall":
		return "", os.RemoveAll(args[0])
	case "rename":
		return "", os.Rename(args[0], args[1])
	case "link":
		return "", os.Link(args[0], args[1])
	case "symlink":
		return "", os.Symlink(args[0], args[1])
	case "readlink":
		return os.Readlink(args[0])
	}
	return "", fmt.Errorf("unknown operation %q", op)
}
