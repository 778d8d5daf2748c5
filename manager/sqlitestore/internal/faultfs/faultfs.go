// Package faultfs is a file system for tests of what a broken disk does to a store: it fails, tears or kills at the calls that a test
// chooses. Everything else goes to another file system.
//
//	name := faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
//		if op.Kind == faultfs.Sync && op.N == 3 {
//			return faultfs.Fault{Err: faultfs.ErrIO}
//		}
//		return faultfs.Fault{}
//	})
//	sqlitestore.Open(ctx, sqlitestore.Config{Path: path, VFS: name})
package faultfs

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// Kind is what is done to a file.
type Kind int

// The kinds.
const (
	Write Kind = iota
	Sync
	Truncate
	Read
	Delete
	numKinds
)

// Op is one call.
type Op struct {
	Kind Kind
	Name string // of the file
	N    int    // how many calls of this kind there were, this one included
	Size int    // bytes to write
}

// Fault is what becomes of a call; the zero Fault lets it go on.
type Fault struct {
	Err  error // the call returns it
	Torn bool  // half of what was to be written is written before that
	Kill bool  // then the process ends at once, with the exit code Killed
}

// Killed is the exit code of a process that a fault ended.
const Killed = 86

// The errors of broken disks.
var (
	ErrFull = vfs.SystemError(syscall.ENOSPC, sqlite3.FULL)
	ErrIO   = vfs.SystemError(syscall.EIO, sqlite3.IOERR_WRITE)
)

var registered atomic.Int64

// Register makes a file system over the one that is named; empty: the system's. decide is called before each call, by several
// goroutines. It returns the new one's name, and there is no need to undo it.
func Register(inner string, decide func(Op) Fault) (name string) {
	name = "faultfs-" + strconv.FormatInt(registered.Add(1), 10)
	vfs.Register(name, &fileSystem{VFS: vfs.Find(inner), decide: decide})
	return name
}

type fileSystem struct {
	vfs.VFS
	decide func(Op) Fault

	mu     sync.Mutex
	counts [numKinds]int
}

// check counts a call and has it decided.
func (s *fileSystem) check(kind Kind, name string, size int) Fault {
	s.mu.Lock()
	s.counts[kind]++
	n := s.counts[kind]
	s.mu.Unlock()
	return s.decide(Op{Kind: kind, Name: name, N: n, Size: size})
}

// end does what a fault says, after what was torn.
func (f Fault) end() error {
	if f.Kill {
		os.Exit(Killed)
	}
	return f.Err
}

func (s *fileSystem) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := s.VFS.Open(name, flags)
	return s.wrap(f, name, err), out, err
}

// OpenFilename implements vfs.VFSFilename.
func (s *fileSystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	in, ok := s.VFS.(vfs.VFSFilename)
	if !ok {
		return s.Open(name.String(), flags)
	}
	f, out, err := in.OpenFilename(name, flags)
	return s.wrap(f, name.String(), err), out, err
}

func (s *fileSystem) Delete(name string, syncDir bool) error {
	f := s.check(Delete, name, 0)
	if err := f.end(); err != nil {
		return err
	}
	return s.VFS.Delete(name, syncDir)
}

func (s *fileSystem) wrap(f vfs.File, name string, err error) vfs.File {
	if err != nil {
		return f
	}
	return &file{File: f, fs: s, name: name}
}

type file struct {
	vfs.File
	fs   *fileSystem
	name string
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	fault := f.fs.check(Read, f.name, 0)
	if err := fault.end(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	fault := f.fs.check(Write, f.name, len(p))
	if fault.Torn {
		_, _ = f.File.WriteAt(p[:len(p)/2], off) // it is to fail anyway
	}
	if err := fault.end(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *file) Sync(flags vfs.SyncFlag) error {
	fault := f.fs.check(Sync, f.name, 0)
	if err := fault.end(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

func (f *file) Truncate(size int64) error {
	fault := f.fs.check(Truncate, f.name, 0)
	if err := fault.end(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// SharedMemory implements vfs.FileSharedMemory.
func (f *file) SharedMemory() vfs.SharedMemory {
	if s, ok := f.File.(vfs.FileSharedMemory); ok {
		return s.SharedMemory()
	}
	return nil
}

// Unwrap implements vfs.FileUnwrap.
func (f *file) Unwrap() vfs.File { return f.File }
