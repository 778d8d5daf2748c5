package sqlitestore

import (
	"encoding/binary"
	"sync"

	"github.com/ncruces/go-sqlite3/vfs"
)

// logVFS is a file system whose write-ahead logs are walFiles. Everything else is that of another file system.
type logVFS struct{ vfs.VFS }

// logVFSName names it for SQLite.
func logVFSName(inner string) string { return "taskhost-" + inner }

var registering sync.Mutex

// registerLogVFS makes a file system over the one of that name.
func registerLogVFS(inner string) bool {
	registering.Lock()
	defer registering.Unlock()
	under := vfs.Find(inner)
	if under == nil {
		return false
	}
	if have, ok := vfs.Find(logVFSName(inner)).(logVFS); !ok || have.VFS != under {
		vfs.Register(logVFSName(inner), logVFS{under})
	}
	return true
}

func (v logVFS) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := v.VFS.Open(name, flags)
	return wrapLog(f, flags, err), out, err
}

// OpenFilename implements vfs.VFSFilename.
func (v logVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	in, ok := v.VFS.(vfs.VFSFilename)
	if !ok {
		return v.Open(name.String(), flags)
	}
	f, out, err := in.OpenFilename(name, flags)
	return wrapLog(f, flags, err), out, err
}

func wrapLog(f vfs.File, flags vfs.OpenFlag, err error) vfs.File {
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return f
	}
	return &walFile{File: f}
}

// walFile is a write-ahead log. SQLite writes each frame in two pieces; this gathers the frames of a commit and writes them at once.
// A file that grows costs a sync of its size, too, so it grows by walStep, with zeros, which are no frames.
//
// All but Sync is used by one connection at a time. Sync may be called by the syncer when nothing is gathered.
type walFile struct {
	vfs.File
	buf   []byte
	at    int64 // where buf belongs
	last  bool  // the next piece is the page of a commit's last frame
	known bool
	size  int64
}

const (
	walStep      = 1 << 20
	maxGathered  = 1 << 20
	frameHeader  = 24
	commitInFrom = 4 // a frame's header has the size of the database here, if it is the last of a commit
)

func (f *walFile) WriteAt(p []byte, off int64) (int, error) {
	if len(f.buf) > 0 && off != f.at+int64(len(f.buf)) {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	if len(f.buf) == 0 {
		f.at = off
	}
	f.buf = append(f.buf, p...)
	ends := f.last || len(f.buf) >= maxGathered
	f.last = len(p) == frameHeader && binary.BigEndian.Uint32(p[commitInFrom:]) != 0
	if len(p) != frameHeader && !ends {
		// The header of the log is written by itself; a page that is not of a last frame is followed by more.
		ends = off == 0
	}
	if ends && !f.last {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush writes what was gathered.
func (f *walFile) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	p := f.buf
	f.buf = f.buf[:0]
	if cap(p) > 2*maxGathered {
		f.buf = nil
	}
	if err := f.grow(f.at + int64(len(p))); err != nil {
		return err
	}
	_, err := f.File.WriteAt(p, f.at)
	return err
}

var zeros [walStep]byte

// grow makes the file have room up to end.
func (f *walFile) grow(end int64) error {
	if !f.known {
		size, err := f.File.Size()
		if err != nil {
			return err
		}
		f.known, f.size = true, size
	}
	for end > f.size {
		if _, err := f.File.WriteAt(zeros[:], f.size); err != nil {
			if f.size >= end {
				return nil
			}
			return err
		}
		f.size += walStep
	}
	return nil
}

func (f *walFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *walFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *walFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.known = false
	return f.File.Truncate(size)
}

func (f *walFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

func (f *walFile) Close() error {
	err := f.flush()
	if closed := f.File.Close(); err == nil {
		err = closed
	}
	return err
}
