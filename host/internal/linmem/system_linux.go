package linmem

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseSmallPages keeps the system from giving a whole huge page where one byte was written: all of it would have to be put back.
func adviseSmallPages(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }

// discardPiece is how much is given back at once: the system takes a millisecond or less for it.
const discardPiece = 4 << 20

// discard gives the pages of [from, to) back: they read as what is mapped there, or zero. Other goroutines get a turn between pieces.
func (r *region) discard(from, to uint64) bool {
	for from < to {
		end := min(from+discardPiece, to)
		if unix.Madvise(r.b[from:end], unix.MADV_DONTNEED) != nil {
			return false
		}
		if from = end; from < to {
			runtime.Gosched()
		}
	}
	return true
}

// imageFile is an image in a sealed memory file that memories map privately. The zero imageFile is none.
type imageFile struct {
	fd   int
	used bool
}

func newFileImage(b []byte) (*Image, error) {
	fd, err := unix.MemfdCreate("taskhost-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	i := &Image{file: imageFile{fd, true}}
	if err := i.fill(b); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return i, nil
}

// fill writes the pages that are not zero, seals the file and maps it.
func (i *Image) fill(b []byte) error {
	if len(b) == 0 {
		return unix.EINVAL
	}
	fd := i.file.fd
	if err := unix.Ftruncate(fd, int64(len(b))); err != nil {
		return err
	}
	for at := 0; at < len(b); at += pageSize {
		page := b[at : at+pageSize]
		if *(*[pageSize]byte)(page) == zeroPage {
			continue
		}
		if n, err := unix.Pwrite(fd, page, int64(at)); err != nil || n != pageSize {
			return unix.EIO
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK); err != nil {
		return err
	}
	var err error
	i.data, err = unix.Mmap(fd, 0, len(b), unix.PROT_READ, unix.MAP_SHARED)
	return err
}

// mapInto maps the first n bytes of the file over the region; false if it cannot be done, and then nothing has changed.
func (f imageFile) mapInto(r *region, n uint64) bool {
	if !f.used || n == 0 || n > uint64(len(r.b)) {
		return false
	}
	_, err := unix.MmapPtr(f.fd, 0, unsafe.Pointer(&r.b[0]), uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err == nil
}

// Close gives the image back. Memories that have adopted it must be gone, or have their content from it.
func (i *Image) Close() {
	if i.file.used {
		_ = unix.Munmap(i.data)
		_ = unix.Close(i.file.fd)
	}
	*i = Image{}
}

// scanner asks the kernel which pages of a private mapping were written: those that are there and are not the file's any more.
// See PAGEMAP_SCAN in the kernel's Documentation/admin-guide/mm/pagemap.rst; it came with Linux 6.7.
type scanner struct{ pagemap *os.File }

const (
	pagemapScan = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)

	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pageIsZero    = 1 << 5 // the page of zeros that reading an untouched page maps
)

// pmScanArg is struct pm_scan_arg.
type pmScanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages       uint64
	categoryInverted, categoryMask, categoryAnyofMask, returnMask uint64
}

// pageRegion is struct page_region.
type pageRegion struct{ start, end, categories uint64 }

// pageRuns is room for what a scan finds. It is on the heap: the kernel gets its address as a number, and stacks move.
type pageRuns *[64]pageRegion

func newScanner() scanner {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return scanner{}
	}
	s := scanner{f}
	if os.Getpagesize() != pageSize || !s.works() {
		_ = f.Close()
		return scanner{}
	}
	return s
}

// works tries the scanner on two pages of which one was written.
func (s scanner) works() bool {
	r := newRegion(1 << 16)
	defer r.free()
	if r.b == nil {
		return false
	}
	i, err := newFileImage(r.b)
	if err != nil {
		return false
	}
	defer i.Close()
	if !i.file.mapInto(&r, 1<<16) {
		return false
	}
	r.b[5*pageSize] = 1
	_ = r.b[7*pageSize]
	var found []uint64
	var m Memory
	pages, ok := s.written(&m.runs, r.b, 16, func(from, to uint64) { found = append(found, from, to) })
	return ok && pages == 1 && len(found) == 2 && found[0] == 5*pageSize && found[1] == 6*pageSize
}

// threadFaults is how many page faults this thread has had.
func threadFaults() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return -1
	}
	return u.Minflt + u.Majflt
}

// faultsAreCounted tries whether the first write to a page of a file that is mapped counts, also after it was read, and the second does not.
func (s *System) faultsAreCounted() bool {
	m := s.NewAllocator(1<<16, Meter{}).Allocate(0, 1<<16).(*Memory)
	defer m.Free()
	b := m.Reallocate(1 << 16)
	if b == nil {
		return false
	}
	i, err := newFileImage(b)
	if err != nil {
		return false
	}
	defer i.Close()
	if m.Adopt(i); !m.mapped {
		return false
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for at := 0; at < len(b); at += 5 * pageSize {
		sink := b[at]
		before := threadFaults()
		b[at] = sink + 1
		between := threadFaults()
		if before < 0 || between <= before {
			return false
		}
	}
	return true
}

func (s scanner) usable() bool { return s.pagemap != nil }

func (s scanner) close() error {
	if s.pagemap == nil {
		return nil
	}
	return s.pagemap.Close()
}

// written calls put for each run of pages of b that were written since they were mapped, until it has found more than most pages.
// It returns how many it found; ok is false if the system would not tell.
func (s scanner) written(room *pageRuns, b []byte, most uint64, put func(from, to uint64)) (pages uint64, ok bool) {
	if s.pagemap == nil {
		return 0, false
	}
	if *room == nil {
		*room = new([64]pageRegion)
	}
	runs := *room
	base := uint64(uintptr(unsafe.Pointer(&b[0])))
	arg := pmScanArg{
		start: base, end: base + uint64(len(b)),
		vec: uint64(uintptr(unsafe.Pointer(&runs[0]))), vecLen: uint64(len(runs)),
		categoryInverted: pageIsFile | pageIsZero, categoryMask: pageIsFile | pageIsZero,
		categoryAnyofMask: pageIsPresent | pageIsSwapped,
	}
	arg.size = uint64(unsafe.Sizeof(arg))
	fd := s.pagemap.Fd()
	for arg.start < arg.end {
		arg.maxPages = most + 1 - pages // more need not be looked for
		n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, fd, pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return pages, false
		}
		for _, r := range runs[:n] {
			pages += (r.end - r.start) / pageSize
			if pages > most {
				return pages, true
			}
			put(r.start-base, r.end-base)
		}
		if arg.walkEnd <= arg.start {
			return pages, false
		}
		arg.start = arg.walkEnd
	}
	return pages, true
}
