package host

import (
	"os"
	"reflect"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/taskhost/taskhost/abi"
)

// slimFrom is the size of machine code from which it pays to put it into a file, in bytes.
const slimFrom = 256 << 10

// slim gives memory back that an instance's modules keep and do not need: the engine holds their machine code, four times as large as the
// modules, of which a call runs a small part, the code that it was compiled from, and the data that a memory begins with, which is in the
// snapshot. None of it can be had back through the engine's API, so this looks into its values; where these are not as expected, nothing happens.
func (i *instance) slim() {
	if i.v.host.cfg.CacheDir == cacheOff || i.v.runner != nil && !i.v.runner.slim(i.v.limits.Stack) {
		return
	}
	for n, m := range i.modules {
		forgetBodies(i.v.modules[n].compiled)
		if i.v.snapshot != nil && i.v.runner == nil { // each script's first memory begins anew
			forgetData(i.v.modules[n].compiled)
		}
		for name := range m.ExportedFunctionDefinitions() {
			if code := machineCode(m.ExportedFunction(name)); len(code) >= slimFrom {
				if err := i.v.host.pageOut(code); err != nil {
					i.v.host.stays.Do(func() {
						i.v.host.cfg.Logger.Warn("machine code of plugins stays in memory", "plugin", i.v.name, "error", err)
					})
				}
			}
			break
		}
	}
}

// machineCode is the code of the module that a function belongs to: callEngine.parent (moduleEngine).parent (compiledModule).executable.
func machineCode(f api.Function) (code []byte) {
	defer func() { _ = recover() }() // the engine is another one
	module := reflect.ValueOf(f).Elem().FieldByName("parent").Elem().FieldByName("parent").Elem()
	v := module.FieldByName("executable")
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Uint8 || v.Len() == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Len())
}

// pageOut puts machine code into a file and maps that in the place of the memory, at the same address and with the same content: what runs
// comes back page by page, and what does not costs no memory. The file is on the disk before any code depends on it. After an error the
// code is in memory as before. A network file system gets none: a read that fails there would end the process.
func (h *Host) pageOut(code []byte) error {
	page := os.Getpagesize()
	start := unsafe.Pointer(unsafe.SliceData(code))
	if uintptr(start)%uintptr(page) != 0 {
		return unix.EINVAL
	}
	whole := unsafe.Slice((*byte)(start), (len(code)+page-1)/page*page)
	f, err := h.tempFile()
	if err != nil {
		return err
	}
	defer f.Close() // the mapping keeps it
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	if remote(uint32(st.Type)) {
		return abi.Errorf(abi.CodeUnavailable, "the folder of the cache, %s, is on a network file system", h.cfg.CacheDir)
	}
	if _, err := f.Write(whole); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return mapOver(f, whole)
}

// remote says whether a type of file system may lose its server.
func remote(magic uint32) bool {
	switch magic {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC,
		unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.V9FS_MAGIC:
		return true
	}
	return false
}

// mapOver maps a file in the place of memory, at once for all threads; code there that runs goes on. The file is mapped elsewhere first and
// then moved, so that the memory is there as before when it cannot be mapped.
func mapOver(f *os.File, memory []byte) error {
	size := uintptr(len(memory))
	fresh, err := unix.MmapPtr(int(f.Fd()), 0, nil, size, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	_, err = unix.MremapPtr(fresh, size, unsafe.Pointer(unsafe.SliceData(memory)), size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	if err != nil {
		_ = unix.MunmapPtr(fresh, size)
	}
	return os.NewSyscallError("mremap", err)
}

// forgetBodies drops the functions' code in the binary format, which the engine needs no more once they are compiled.
func forgetBodies(c wazero.CompiledModule) {
	defer func() { _ = recover() }()
	code := reflect.ValueOf(c).Elem().FieldByName("module").Elem().FieldByName("CodeSection")
	for n := range code.Len() {
		body := code.Index(n).FieldByName("Body")
		if body.Type() == reflect.TypeFor[[]byte]() && body.Len() > 0 {
			*(*[]byte)(unsafe.Pointer(body.UnsafeAddr())) = nil
		}
	}
}

// forgetData drops what a memory begins with, where all further memories are copies of an image. What the code itself can still copy stays.
func forgetData(c wazero.CompiledModule) {
	defer func() { _ = recover() }()
	data := reflect.ValueOf(c).Elem().FieldByName("module").Elem().FieldByName("DataSection")
	for n := range data.Len() {
		init := data.Index(n).FieldByName("Init")
		if init.Type() == reflect.TypeFor[[]byte]() && init.Len() > 0 && !data.Index(n).FieldByName("Passive").Bool() {
			*(*[]byte)(unsafe.Pointer(init.UnsafeAddr())) = nil
		}
	}
}
