package rootfs

import (
	"errors"
	"io/fs"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
)

const writing = sys.O_WRONLY | sys.O_RDWR

// OpenFile opens a regular file or a folder; anything else is refused with EPERM.
//
// O_RSYNC and O_DSYNC are taken as O_SYNC, O_NONBLOCK has no meaning for files. O_TRUNC needs write access (EINVAL). Of perm only the
// nine permission bits count.
func (f *FS) OpenFile(name string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	name = local(name)
	file, errno := f.openFile(name, flag, perm.Perm())
	if errno != 0 && name == "." && flag == sys.O_RDONLY {
		// So wazero opens a mount when the guest first uses it. It panics at any error but this one, which the guest sees as EBADF.
		errno = sys.ENOENT
	}
	return file, errno
}

func (f *FS) openFile(name string, flag sys.Oflag, perm fs.FileMode) (_ sys.File, errno sys.Errno) {
	if errno := checkFlags(flag); errno != 0 {
		return nil, errno
	}
	create := flag&sys.O_CREAT != 0
	if f.readOnly {
		if flag&(writing|sys.O_TRUNC) != 0 {
			return nil, sys.EROFS
		}
		flag &^= sys.O_CREAT // opening what is there is no change
	}
	if errno := f.checkBefore(name, flag); errno != 0 {
		if f.readOnly && create && errno == sys.ENOENT {
			errno = sys.EROFS
		}
		return nil, errno
	}

	if f.opened.Add(1) > maxOpenFiles {
		f.opened.Add(-1)
		return nil, sys.EAGAIN
	}
	of, err := f.root.OpenFile(name, osFlags(flag), perm)
	if err != nil {
		f.opened.Add(-1)
		return nil, pathErrno(err)
	}
	h := handle{fs: f, f: of}
	defer func() {
		if errno != 0 {
			h.Close()
		}
	}()

	info, err := of.Stat()
	if err != nil {
		return nil, fileErrno(err)
	}
	if errno := checkKind(info, flag); errno != 0 {
		return nil, errno
	}
	if flag&sys.O_NOFOLLOW != 0 {
		// os.Root follows whatever it finds, so see that the name itself is this file.
		if named, err := f.root.Lstat(name); err != nil || !os.SameFile(named, info) {
			return nil, sys.ELOOP
		}
	}
	if info.IsDir() {
		return &dir{handle: h}, 0
	}
	if flag&sys.O_TRUNC != 0 {
		if err := of.Truncate(0); err != nil {
			return nil, fileErrno(err)
		}
	}
	file := &file{handle: h}
	if flag&sys.O_APPEND != 0 {
		if errno := file.SetAppend(true); errno != 0 {
			return nil, errno
		}
	}
	return file, 0
}

// checkFlags refuses combinations that mean nothing.
func checkFlags(flag sys.Oflag) sys.Errno {
	switch {
	case flag&writing == writing:
		return sys.EINVAL
	case flag&sys.O_TRUNC != 0 && flag&writing == 0:
		return sys.EINVAL
	case flag&sys.O_DIRECTORY != 0 && flag&sys.O_CREAT != 0:
		return sys.EINVAL
	}
	return 0
}

// checkBefore looks at what the name leads to before it is opened, since opening alone has effects on some devices.
// What changes in between is caught by checkKind on the open file.
func (f *FS) checkBefore(name string, flag sys.Oflag) sys.Errno {
	look := f.root.Stat
	exclusive := flag&sys.O_CREAT != 0 && flag&sys.O_EXCL != 0
	if exclusive || flag&sys.O_NOFOLLOW != 0 {
		look = f.root.Lstat
	}
	info, err := look(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&sys.O_CREAT != 0:
		return 0
	case err != nil:
		return pathErrno(err)
	case exclusive:
		return sys.EEXIST
	}
	return checkKind(info, flag)
}

// checkKind says whether what info describes may be opened with these flags.
func checkKind(info fs.FileInfo, flag sys.Oflag) sys.Errno {
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0 && flag&sys.O_DIRECTORY != 0:
		return sys.ENOTDIR
	case mode&fs.ModeSymlink != 0:
		return sys.ELOOP
	case mode.IsDir() && flag&(writing|sys.O_CREAT) != 0:
		return sys.EISDIR
	case mode.IsDir():
		return 0
	case !mode.IsRegular():
		return sys.EPERM
	case flag&sys.O_DIRECTORY != 0:
		return sys.ENOTDIR
	}
	return 0
}

// osFlags are the flags for os.Root. O_TRUNC is left to the moment when the file is known to be the right one, O_APPEND to SetAppend.
func osFlags(flag sys.Oflag) int {
	flags := waitless
	switch flag & writing {
	case sys.O_WRONLY:
		flags |= os.O_WRONLY
	case sys.O_RDWR:
		flags |= os.O_RDWR
	default:
		flags |= os.O_RDONLY
	}
	if flag&sys.O_CREAT != 0 {
		flags |= os.O_CREATE
		if flag&sys.O_EXCL != 0 {
			flags |= os.O_EXCL
		}
	}
	if flag&(sys.O_SYNC|sys.O_DSYNC|sys.O_RSYNC) != 0 {
		flags |= os.O_SYNC
	}
	return flags
}
