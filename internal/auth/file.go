package auth

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
)

const (
	maxFile   = 8 << 20                // bytes of a token file
	lookAgain = 200 * time.Millisecond // how old what is known of the file may be
	lookSoon  = 5 * time.Millisecond   // the same when a token is shown that is not known: it may have just been made
)

// File is a file of tokens. It is read again when it changes, so a token that is made or removed by another process counts within a
// moment. Its methods are safe for concurrent use, also by several processes.
type File struct {
	path string
	log  *slog.Logger

	now  atomic.Pointer[snapshot]
	last atomic.Int64 // when the file was looked at, in nanoseconds of the system's clock

	mu     sync.Mutex // of those who read the file
	failed string     // the last complaint about it
}

// snapshot is the file as it was read.
type snapshot struct {
	tokens map[string]*entry // by id
	order  []*entry
	stat   fs.FileInfo // nil: there was none
	ever   bool        // there were tokens, in this file or one before it
}

// document is the file's content.
type document struct {
	Tokens []Token `json:"tokens"`
}

// OpenFile reads a file of tokens, which need not be there yet. A later fault of the file is told to log, and the tokens that were read
// before stay. A nil log discards it.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &File{path: path, log: log}
	f.now.Store(&snapshot{})
	return f, f.Reload()
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Required reports whether requests need a token: there is one, or was since the file was opened. It does not become false when the
// last one is removed.
func (f *File) Required() bool {
	f.look(lookAgain)
	return f.now.Load().ever
}

// Tokens lists the tokens, the oldest first, as they are on the disk now.
func (f *File) Tokens() ([]Token, error) {
	if err := f.Reload(); err != nil {
		return nil, err
	}
	var tokens []Token
	for _, e := range f.now.Load().order {
		tokens = append(tokens, e.Token)
	}
	return tokens, nil
}

// check returns the token that somebody shows, if it is one and its time is not over.
func (f *File) check(text string) (*entry, bool) {
	f.look(lookAgain)
	id, secret, ok := splitToken(text)
	e := f.now.Load().tokens[id]
	if ok && e == nil {
		f.look(lookSoon)
		e = f.now.Load().tokens[id]
	}
	if !e.matches(secret) || !ok || e.Expired(time.Now()) {
		return nil, false
	}
	return e, true
}

// still reports whether a token is there as it was, and its time is not over.
func (f *File) still(e *entry) bool {
	f.look(lookAgain)
	now := f.now.Load().tokens[e.ID]
	return now != nil && now.sum == e.sum && now.Role == e.Role && !now.Expired(time.Now())
}

// look reads the file again if it has changed, and if the last look is at least so long ago.
func (f *File) look(age time.Duration) {
	now := time.Now().UnixNano()
	last := f.last.Load()
	if now < last+int64(age) || !f.last.CompareAndSwap(last, now) {
		return
	}
	stat, err := os.Stat(f.path)
	if err == nil && same(f.now.Load().stat, stat) || errors.Is(err, fs.ErrNotExist) && f.now.Load().stat == nil {
		return
	}
	_ = f.Reload() // it was told
}

func same(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// Reload reads the file now. When it cannot be read, the tokens stay as they were; a file that is gone has none.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.read()
	if err != nil {
		if text := err.Error(); text != f.failed {
			f.failed = text
			f.log.Error("the token file cannot be used; the tokens that were read before stay", "file", f.path, "error", err)
		}
		return err
	}
	f.failed = ""
	s.ever = len(s.order) > 0 || f.now.Load().ever
	f.now.Store(s)
	return nil
}

func (f *File) read() (*snapshot, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &snapshot{}, nil
	}
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the token file: %w", err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the token file: %w", err)
	}
	if err := f.checkMode(stat); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the token file: %w", err)
	}
	s, err := parse(data)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the token file %s: %w", f.path, err)
	}
	s.stat = stat
	return s, nil
}

// checkMode refuses a file that anybody may write to: who can write to it is an admin.
func (f *File) checkMode(stat fs.FileInfo) error {
	switch {
	case !stat.Mode().IsRegular():
		return abi.Errorf(abi.CodeInvalid, "the token file %s is not a file", f.path)
	case ownRights && stat.Mode().Perm()&0o002 != 0:
		return abi.Errorf(abi.CodeInvalid, "everybody can write to the token file %s, and so become an admin: chmod 600 it, and look at who is in it", f.path)
	}
	return nil
}

// parse reads the content of a token file.
func parse(data []byte) (*snapshot, error) {
	if len(data) > maxFile {
		return nil, abi.Errorf(abi.CodeInvalid, "it is larger than %d bytes", maxFile)
	}
	var doc document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "it cannot be read: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, abi.Errorf(abi.CodeInvalid, "something follows the tokens")
	}
	if len(doc.Tokens) > MaxTokens {
		return nil, abi.Errorf(abi.CodeInvalid, "it has %d tokens; at most %d are possible", len(doc.Tokens), MaxTokens)
	}
	s := &snapshot{tokens: map[string]*entry{}}
	for _, t := range doc.Tokens {
		if err := t.validate(); err != nil {
			return nil, err
		}
		if s.tokens[t.ID] != nil {
			return nil, abi.Errorf(abi.CodeInvalid, "the id %s is there twice", t.ID)
		}
		e := &entry{Token: t}
		_, _ = hex.Decode(e.sum[:], []byte(t.SHA256))
		s.tokens[t.ID] = e
		s.order = append(s.order, e)
	}
	return s, nil
}

// Create makes a token and returns it with what its owner shows, which is kept nowhere. A zero expires means never.
func (f *File) Create(name string, role Role, expires time.Time) (Token, string, error) {
	if err := checkToken(name, role); err != nil {
		return Token{}, "", err
	}
	now := time.Now()
	if !expires.IsZero() && !expires.After(now) {
		return Token{}, "", abi.Errorf(abi.CodeInvalid, "the token would have expired at %s", expires.Format(time.RFC3339))
	}
	t, text := newToken(name, role, now, expires)
	return t, text, f.change(func(tokens []Token) ([]Token, error) {
		if len(tokens) >= MaxTokens {
			return nil, abi.Errorf(abi.CodeInvalid, "there are %d tokens already: remove some", len(tokens))
		}
		if i := slices.IndexFunc(tokens, func(t Token) bool { return t.Name == name }); i >= 0 {
			return nil, abi.Errorf(abi.CodeConflict, "there is a token called %q, %s: choose another name, so that the audit log tells them apart", name, tokens[i].ID)
		}
		return append(tokens, t), nil
	})
}

// Remove removes a token by its id or name and returns what it was. Whoever shows it is refused within a moment, and its sessions end.
func (f *File) Remove(word string) (Token, error) {
	var gone Token
	return gone, f.change(func(tokens []Token) ([]Token, error) {
		i := slices.IndexFunc(tokens, func(t Token) bool { return t.ID == word })
		if i < 0 {
			i = slices.IndexFunc(tokens, func(t Token) bool { return t.Name == word })
		}
		if i < 0 {
			return nil, abi.Errorf(abi.CodeNotFound, "there is no token with the id or name %q in %s", word, f.path)
		}
		gone = tokens[i]
		return slices.Delete(tokens, i, i+1), nil
	})
}

// change replaces the file by one with other tokens. Other processes wait meanwhile.
func (f *File) change(edit func([]Token) ([]Token, error)) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the token file: %w", err)
	}
	unlock, err := lock(f.path+".lock", f.path)
	if err != nil {
		return abi.Errorf(abi.CodeInvalid, "the token file: %w", err)
	}
	defer unlock()
	tokens, err := f.Tokens()
	if err != nil {
		return err
	}
	if tokens, err = edit(tokens); err != nil {
		return err
	}
	if tokens == nil {
		tokens = []Token{}
	}
	data, err := json.MarshalIndent(document{tokens}, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(f.path, append(data, '\n')); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the token file: %w", err)
	}
	return f.Reload()
}

// replace puts a file in the place of another, as a whole or not at all, and for its owner alone: who owned the one before, or owns the
// folder, when root replaces it.
func replace(path string, data []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimPrefix(filepath.Base(path), ".")+".*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, giveTo(file, path), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
