// Package audit keeps a log of who changed what: a line of JSON for each change, in files of which the number and the size are bounded.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
)

// Entry is a line of the log.
type Entry struct {
	Time      time.Time      `json:"time"`
	Principal auth.Principal `json:"principal"` // who did it; the zero one: nobody that is known
	Address   string         `json:"address"`   // from where
	Action    string         `json:"action"`    // such as plugin.upload
	Object    string         `json:"object"`    // on what, such as the plugin's name
	Result    string         `json:"result"`    // "ok", or the code of the error
	Error     string         `json:"error,omitempty"`
}

// Config is what a Log is made with. The zero value works: a log that is told to nobody and kept nowhere.
type Config struct {
	// Path of the newest file; older ones have .1, .2 and so on behind their name. Empty: there are no files.
	Path string
	// MaxBytes is the size at which another file begins; a file grows beyond it as long as none can. Default: 8 MiB.
	MaxBytes int64
	// MaxFiles is how many files there are at most, the newest included. Default: 8.
	MaxFiles int
	// Logger gets each entry too, and what goes wrong with the files. Default: none.
	Logger *slog.Logger
}

const (
	maxText = 1000        // bytes of each text of an entry
	maxLast = 10_000      // entries that Last gives
	maxLine = 64 << 10    // bytes of a line that Last reads
	block   = 256 << 10   // bytes that Last reads at a time
	maxSize = 1 << 30     // of Config.MaxBytes
	maxMany = 1000        // of Config.MaxFiles
	pause   = time.Minute // after a file that could not be moved
	owner   = 0o600       // the mode of the files
)

// Log is an audit log. Make one with Open, and Close it. It is safe for concurrent use.
type Log struct {
	cfg Config

	mu     sync.Mutex
	file   *os.File // nil: there is none, or it could not be opened
	size   int64
	failed bool      // the last entry could not be written
	again  time.Time // before which no other file is tried to begin
	grows  bool      // which was told
	closed bool
}

// Open opens the log, which goes on where it ended. The error is CodeInvalid and says what cannot be used.
func Open(cfg Config) (*Log, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 8 << 20
	}
	if cfg.MaxFiles == 0 {
		cfg.MaxFiles = 8
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.MaxBytes < 64<<10 || cfg.MaxBytes > maxSize:
		return nil, abi.Errorf(abi.CodeInvalid, "audit: MaxBytes is %d; it must be between %d and %d", cfg.MaxBytes, 64<<10, maxSize)
	case cfg.MaxFiles < 1 || cfg.MaxFiles > maxMany:
		return nil, abi.Errorf(abi.CodeInvalid, "audit: MaxFiles is %d; it must be between 1 and %d", cfg.MaxFiles, maxMany)
	}
	l := &Log{cfg: cfg}
	if err := l.open(); err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the audit log: %w", err)
	}
	return l, nil
}

// open opens the newest file; l is locked, or not yet shared.
func (l *Log) open() error {
	if l.cfg.Path == "" {
		return nil
	}
	f, err := os.OpenFile(l.cfg.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, owner)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if last := make([]byte, 1); err == nil && size > 0 {
		if _, err = f.ReadAt(last, size-1); err == nil && last[0] != '\n' { // the process was killed meanwhile
			_, err = f.WriteString("\n")
			size++
		}
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, size
	return nil
}

// Add adds an entry, with the time of now if it has none. An entry that cannot be written is told to the logger.
func (l *Log) Add(e Entry) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	for _, text := range []*string{&e.Principal.ID, &e.Principal.Name, &e.Address, &e.Action, &e.Object, &e.Result, &e.Error} {
		*text = cut(*text)
	}
	l.cfg.Logger.Info("audit", "principal", e.Principal.Name, "token", e.Principal.ID, "role", e.Principal.Role, "address", e.Address,
		"action", e.Action, "object", e.Object, "result", e.Result)
	if err := l.write(e); err != nil {
		l.cfg.Logger.Error("the audit log cannot be written", "file", l.cfg.Path, "error", err)
	}
}

func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// write writes an entry to the file. The error is told once, until another entry is written.
func (l *Log) write(e Entry) error {
	if l.cfg.Path == "" {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return abi.Errorf(abi.CodeClosed, "it is closed")
	}
	err = l.append(line)
	if err != nil && l.failed {
		return nil
	}
	l.failed = err != nil
	return err
}

// append writes a line, in another file if this one is full; l is locked. When no other file can begin, this one grows.
func (l *Log) append(line []byte) error {
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.size > 0 && l.size+int64(len(line)) > l.cfg.MaxBytes && !time.Now().Before(l.again) {
		l.rotate()
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	if err != nil && n > 0 {
		_, _ = l.file.WriteString("\n")
	}
	return err
}

// rotate closes the file and gives all files the next number; l is locked. When that fails no file is lost: the newest one is in its place
// again, and for a while nobody tries. It is told once, until it is possible again.
func (l *Log) rotate() {
	if err := l.file.Close(); err != nil {
		l.cfg.Logger.Error("the audit log was not written to the end", "file", l.cfg.Path, "error", err)
	}
	l.file = nil
	err := l.shift() // what a process that was killed had put aside
	if err == nil {
		if err = os.Rename(l.cfg.Path, l.aside()); err == nil {
			err = l.shift()
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		l.again, l.grows = time.Time{}, false
		return
	}
	if _, e := os.Lstat(l.cfg.Path); errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, os.Rename(l.aside(), l.cfg.Path))
	}
	if !l.grows {
		l.cfg.Logger.Error("the audit log grows beyond its size: no other file can begin", "file", l.cfg.Path, "error", err)
	}
	l.again, l.grows = time.Now().Add(pause), true
}

// shift makes the file that was put aside the second one. Older ones move as far as the first free number; the last is dropped if there is
// none. It stops at what cannot be moved, so that nothing is moved onto that. Without a file that was put aside, nothing happens.
func (l *Log) shift() error {
	if _, err := os.Lstat(l.aside()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if l.cfg.MaxFiles == 1 {
		return os.Remove(l.aside())
	}
	free := 1
	for ; free < l.cfg.MaxFiles-1; free++ {
		if _, err := os.Lstat(l.name(free)); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	for n := free; n > 1; n-- {
		if err := os.Rename(l.name(n-1), l.name(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(l.aside(), l.name(1))
}

// aside is the name of the newest file while the others move.
func (l *Log) aside() string { return l.cfg.Path + ".moving" }

// name is that of the file with a number.
func (l *Log) name(n int) string {
	if n == 0 {
		return l.cfg.Path
	}
	return fmt.Sprintf("%s.%d", l.cfg.Path, n)
}

// Last returns the last n entries, the newest first; at most 10,000.
func (l *Log) Last(n int) ([]Entry, error) {
	n = min(n, maxLast)
	entries := []Entry{}
	if l.cfg.Path == "" {
		return entries, nil
	}
	files, err := l.files()
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if err != nil {
		return nil, abi.Errorf(abi.CodeUnavailable, "the audit log: %w", err)
	}
	for _, f := range files {
		if entries, err = backwards(f, entries, n); err != nil {
			return nil, abi.Errorf(abi.CodeUnavailable, "the audit log: %w", err)
		}
	}
	return entries, nil
}

// files opens all files, the newest first, at a moment when none is being renamed.
func (l *Log) files() ([]*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var files []*os.File
	names := []string{l.cfg.Path, l.aside()}
	for n := 1; n < l.cfg.MaxFiles; n++ {
		names = append(names, l.name(n))
	}
	for _, name := range names {
		if st, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) || err == nil && !st.Mode().IsRegular() {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// backwards appends the entries of a file, the last first, until there are n. Lines that are no entries are passed over.
func backwards(f *os.File, entries []Entry, n int) ([]Entry, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var rest []byte // the beginning of what was read, which may be the end of a line
	for at := st.Size(); at > 0 && len(entries) < n; {
		size := min(at, block)
		at -= size
		data := make([]byte, size, size+int64(len(rest)))
		if _, err := f.ReadAt(data, at); err != nil {
			return nil, err
		}
		lines := bytes.Split(append(data, rest...), []byte("\n"))
		rest = nil
		if at > 0 {
			if rest, lines = lines[0], lines[1:]; len(rest) > maxLine {
				rest = nil
			}
		}
		for _, line := range slices.Backward(lines) {
			var e Entry
			if len(entries) < n && len(line) > 0 && json.Unmarshal(line, &e) == nil {
				entries = append(entries, e)
			}
		}
	}
	return entries, nil
}

// Close closes the file. Entries that come later are told to the logger alone.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.file.Sync(), l.file.Close())
	l.file = nil
	return err
}
